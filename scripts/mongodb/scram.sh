# shellcheck shell=bash
# scram.sh: logging in to MongoDB (SCRAM-SHA-256, RFC 5802 and 7677) without a program that would have the password in its arguments.
#
# What is made of a password by thousands of rounds, the client's key and where its two hashes start from, is kept in
# run/login for the next time, with the salt that it belongs to. Python does the rounds where the host has one (20 ms); bash needs
# half a minute, once, and not while somebody waits for a look (IN_A_HURRY). Numbers of 32 bits are kept in hex, 8 digits each.

declare -a SHA_ROUND=() SHA_STATE=() SHA_WORDS=()
readonly SHA_BEGIN=6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19
readonly SHA_CONSTANTS='428a2f98 71374491 b5c0fbcf e9b5dba5 3956c25b 59f111f1 923f82a4 ab1c5ed5 d807aa98 12835b01 243185be
550c7dc3 72be5d74 80deb1fe 9bdc06a7 c19bf174 e49b69c1 efbe4786 0fc19dc6 240ca1cc 2de92c6f 4a7484aa 5cb0a9dc 76f988da 983e5152
a831c66d b00327c8 bf597fc7 c6e00bf3 d5a79147 06ca6351 14292967 27b70a85 2e1b2138 4d2c6dfc 53380d13 650a7354 766a0abb 81c2c92e
92722c85 a2bfe8a1 a81a664b c24b8b70 c76c51a3 d192e819 d6990624 f40e3585 106aa070 19a4c116 1e376c08 2748774c 34b0bcb5 391c0cb3
4ed8aa4a 5b9cca4f 682e6ff3 748f82ee 78a5636f 84c87814 8cc70208 90befffa a4506ceb bef9a3f7 c67178f2'

sha_ready() {
  local constant
  ((${#SHA_ROUND[@]} == 0)) || return 0
  for constant in $SHA_CONSTANTS; do SHA_ROUND+=("$((16#$constant))"); done
}

sha_state() { # sha_state HEX: SHA_STATE from 64 digits
  local -i at
  SHA_STATE=()
  for ((at = 0; at < 64; at += 8)); do SHA_STATE+=("$((16#${1:at:8}))"); done
}

# sha_block: SHA_STATE goes on by the 16 numbers of SHA_WORDS. Doubling a number in 64 bits makes its rotations shifts.
sha_block() {
  local -i a=${SHA_STATE[0]} b=${SHA_STATE[1]} c=${SHA_STATE[2]} d=${SHA_STATE[3]}
  local -i e=${SHA_STATE[4]} f=${SHA_STATE[5]} g=${SHA_STATE[6]} h=${SHA_STATE[7]} i t x y
  for ((i = 16; i < 64; i++)); do
    ((x = SHA_WORDS[i - 15], x |= x << 32, y = SHA_WORDS[i - 2], y |= y << 32, \
    SHA_WORDS[i] = (SHA_WORDS[i - 16] + SHA_WORDS[i - 7] + (x >> 7 ^ x >> 18 ^ (x & 0xffffffff) >> 3) + (y >> 17 ^ y >> 19 ^ (y & 0xffffffff) >> 10)) & 0xffffffff)) || :
  done
  for ((i = 0; i < 64; i++)); do
    ((x = e | e << 32, y = a | a << 32, \
    t = h + ((x >> 6 ^ x >> 11 ^ x >> 25) & 0xffffffff) + (g ^ e & (f ^ g)) + SHA_ROUND[i] + SHA_WORDS[i], \
    h = g, g = f, f = e, e = (d + t) & 0xffffffff, d = c, \
    t += ((y >> 2 ^ y >> 13 ^ y >> 22) & 0xffffffff) + (a & b ^ a & c ^ b & c), c = b, b = a, a = t & 0xffffffff)) || :
  done
  x=0
  for t in "$a" "$b" "$c" "$d" "$e" "$f" "$g" "$h"; do SHA_STATE[x]=$(((SHA_STATE[x] + t) & 0xffffffff)) x+=1; done
}

# sha_on STATE HEX DONE -> REPLY: the hash of what came before (DONE bytes, which led to that state) and these bytes.
sha_on() {
  local text=${2}80
  local -i at word
  sha_ready
  sha_state "$1"
  while ((${#text} % 128 != 112)); do text+="00"; done
  printf -v REPLY '%016x' "$(((${#2} / 2 + $3) * 8))" && text+=$REPLY
  for ((at = 0; at < ${#text}; at += 128)); do
    SHA_WORDS=()
    for ((word = at; word < at + 128; word += 8)); do SHA_WORDS+=("$((16#${text:word:8}))"); done
    sha_block
  done
  printf -v REPLY '%08x' "${SHA_STATE[@]}"
}

sha() { sha_on "$SHA_BEGIN" "$1" 0; } # sha HEX -> REPLY

# hmac_starts KEY -> REPLY: the two states, inner and outer, that hashes with that key begin from.
hmac_starts() {
  local key=$1 pad states='' text
  local -i at
  sha_ready
  ((${#key} <= 128)) || { sha "$key" && key=$REPLY; }
  while ((${#key} < 128)); do key+="00000000"; done
  key=${key:0:128}
  for pad in 0x36363636 0x5c5c5c5c; do
    sha_state "$SHA_BEGIN"
    SHA_WORDS=()
    for ((at = 0; at < 128; at += 8)); do SHA_WORDS+=("$((16#${key:at:8} ^ pad))"); done
    sha_block
    printf -v text '%08x' "${SHA_STATE[@]}" && states+=$text
  done
  REPLY=$states
}

hmac() { # hmac STATES HEX -> REPLY
  sha_on "${1:0:64}" "$2" 64
  sha_on "${1:64}" "$REPLY" 64
}

exclusive_or() { # exclusive_or HEX HEX -> REPLY: of 32 bytes
  local all='' part
  local -i at
  for ((at = 0; at < 64; at += 8)); do printf -v part '%08x' "$((16#${1:at:8} ^ 16#${2:at:8}))" && all+=$part; done
  REPLY=$all
}

in_base64() { # in_base64 HEX -> REPLY: of 32 bytes
  local -r letters=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/
  local all='' hex=${1}00
  local -i at number
  for ((at = 0; at < 66; at += 6)); do
    number=$((16#${hex:at:6}))
    all+=${letters:number>>18:1}${letters:number>>12&63:1}${letters:number>>6&63:1}${letters:number&63:1}
  done
  REPLY=${all%A}=
}

# rounds PASSWORD SALT COUNT -> REPLY: PBKDF2 with SHA-256; the salt in hex. The password goes by standard input.
readonly PYTHON_ROUNDS='import hashlib,sys;print(hashlib.pbkdf2_hmac("sha256",sys.stdin.buffer.read(),bytes.fromhex(sys.argv[1]),int(sys.argv[2])).hex())'
rounds() {
  local python
  for python in /usr/bin/python3 /usr/libexec/platform-python /usr/local/bin/python3; do
    [[ ! -x $python ]] || ! REPLY=$("$python" -I -c "$PYTHON_ROUNDS" "$2" "$3" 2>/dev/null < <(printf '%s' "$1")) || return 0
  done
  [[ -z ${IN_A_HURRY-} ]] && rounds_in_bash "$@"
}

rounds_in_bash() {
  local starts sum round
  local -i count
  hex_of "$1" && hmac_starts "$REPLY" && starts=$REPLY
  hmac "$starts" "${2}00000001" && sum=$REPLY
  for ((count = 1; count < $3; count++)); do
    hmac "$starts" "$REPLY" && round=$REPLY
    exclusive_or "$sum" "$round" && sum=$REPLY
    REPLY=$round
  done
  REPLY=$sum
}

# login_key PASSWORD SALT COUNT -> REPLY: the client's key, and the states that its signatures begin from. SALT in base64.
login_key() {
  local salt states key
  salt=$(base64 -d <<<"$2" | od -An -v -tx1) && salt=${salt//[[:space:]]/}
  rounds "$1" "$salt" "$3" || return 1
  hmac_starts "$REPLY" && states=$REPLY
  hex_of 'Client Key' && hmac "$states" "$REPLY" && key=$REPLY
  sha "$key" && hmac_starts "$REPLY"
  REPLY="$key $REPLY"
}

# login USER PASSWORD: on LINE. The key that is kept is tried where its salt is the server's, then the password. The server's own
# proof is not looked at: it is our process that listens, or one that another member of the set has named.
login() {
  local kept='' salt='' key
  if [[ -r $run/login ]]; then read -r salt kept <"$run/login"; fi
  if exchange "$1" "$salt" "$kept"; then return 0; fi
  [[ -n $SALT && -n $2 ]] || return 1
  login_key "$2" "${SALT% *}" "${SALT#* }" || { REPLY='there is no Python here to make the key in time' && SALT='' && return 1; }
  key=$REPLY
  exchange "$1" "${SALT/ /:}" "$key" || return 1
  put "$run/login" <<<"${SALT/ /:} $key"
}

# exchange USER SALT KEY: the four messages. SALT is left as what the server says: its salt and its rounds.
declare SALT=''
readonly SERVER_FIRST='^r=([^,]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{3,6})$'
exchange() {
  local nonce first server without key=${3%% *} states=${3##* }
  SALT=''
  read -r nonce </proc/sys/kernel/random/uuid
  first="n=$1,r=$nonce"
  bson true skipEmptyExchange 1
  bson int saslStart 1 text mechanism SCRAM-SHA-256 bytes payload "n,,$first" doc options "$REPLY"
  command_of admin "$REPLY" || return 1
  server=${ANSWER[payload]}
  [[ $server =~ $SERVER_FIRST && ${BASH_REMATCH[1]} == "$nonce"* ]] || { REPLY='an odd answer to the login' && return 1; }
  without="c=biws,r=${BASH_REMATCH[1]}" SALT="${BASH_REMATCH[2]} ${BASH_REMATCH[3]}"
  [[ -n $key && $2 == "${SALT/ /:}" ]] || { REPLY='the key is another one' && return 1; }
  hex_of "$first,$server,$without" && hmac "$states" "$REPLY"
  exclusive_or "$key" "$REPLY" && in_base64 "$REPLY"
  bson int saslContinue 1 int conversationId "${ANSWER[conversationId]-1}" bytes payload "$without,p=$REPLY"
  command_of admin "$REPLY" || return 1
  [[ ${ANSWER[done]-} != true ]] || return 0
  bson int saslContinue 1 int conversationId "${ANSWER[conversationId]-1}" bytes payload ''
  command_of admin "$REPLY"
}
