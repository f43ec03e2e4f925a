"""Every check has a test that fails when the check is taken out."""

import pytest

from desired_state import acceptance, trust
from tests.core.mutation import fails, mutated

NOTE, TRUST, ACCEPTANCE = "test_note.py", "test_trust.py", "test_acceptance.py"
REQUEST, ENROLMENT, DOCUMENT, RENDER, SEALING = (
    "test_request_signature.py",
    "test_enrolment.py",
    "test_document.py",
    "test_render.py",
    "test_sealing.py",
)

OF_ACCEPTANCE = {
    "is_there": "test_missing_is_refused",
    "is_not_empty": "test_empty_is_refused",
    "is_not_too_large": "test_too_large_is_refused",
    "is_a_note": "test_truncated_is_refused",
    "is_signed": "test_strangers_signature_is_refused",
    "is_a_document": "test_unknown_field_is_refused",
    "is_for_this_host": "test_another_hosts_document_is_refused",
    "epoch_is_not_old": "test_old_epoch_is_refused",
    "epoch_is_known": "test_unknown_epoch_is_refused",
    "revision_is_not_old": "test_replay_is_refused",
    "revision_is_not_forked": "test_fork_is_refused",
    "is_not_expired": "test_expired_is_refused",
}
OF_TRUST = {
    "is_pinned": "test_another_first_trust_is_refused",
    "is_next_version": "test_version_follows_exactly",
    "epoch_never_falls": "test_epoch_never_falls",
    "current_roots_signed": "test_old_roots_must_sign",
    "own_roots_signed": "test_new_roots_must_sign",
}

# module, what is taken out, what stands there instead, the file and the test that must notice
MUTANTS: list[tuple[str, str, str, str, str]] = [
    # notes
    ("note", "if not key.signed(note.text, signature.value):", "if False:", NOTE, "test_every_flipped_bit_is_refused"),
    (
        "note",
        "if not key.signed(note.text, signature.value):",
        "if False:",
        NOTE,
        "test_name_and_id_of_a_trusted_key_do_not_help",
    ),
    ("note", "signed.add(key.public)", "signed.add(bytes([len(signed)]))", NOTE, "test_one_key_twice_is_one"),
    (
        "note",
        "signed.add(key.public)",
        "signed.add(key.name.encode())",
        NOTE,
        "test_one_key_under_two_names_is_one",
    ),
    ("note", "if len(signed) < threshold:", "if not signed:", NOTE, "test_one_of_two_is_refused"),
    ("note", "if len(signed) < threshold:", "if False:", NOTE, "test_stranger_is_refused"),
    ("note", "if threshold < 1:", "if False:", NOTE, "test_threshold_of_nothing_is_an_error"),
    ("note", "if len(lines) > MAX_SIGNATURES:", "if False:", NOTE, "test_too_many_signatures_are_malformed"),
    ("note", "    if _base64(data) != text:", "    if False:", NOTE, "test_loose_base64_is_malformed"),
    ("note", "if not lines:", "if False:", NOTE, "test_what_is_no_note_is_malformed"),
    ("note", 'if not text.endswith(b"\\n"):', "if False:", NOTE, "test_bytes_after_the_last_line_are_malformed"),
    (
        "note",
        "if len(text.translate(None, _CONTROL)) != len(text):",
        "if False:",
        NOTE,
        "test_what_is_no_note_is_malformed",
    ),
    ("note", "if len(body) < 5:", "if False:", NOTE, "test_what_is_no_note_is_malformed"),
    ("note", "if key.key_id.hex() != key_id:", "if False:", NOTE, "test_bad_verifier_key_is_refused"),
    ("note", "if signer.verifier.key_id.hex() != key_id:", "if False:", NOTE, "test_bad_signing_key_is_refused"),
    ("note", "if is_weak(body):", "if False:", TRUST, "test_ill_formed_trust_is_refused"),
    # trust
    ("trust", "if len(data) > MAX_BYTES:", "if False:", TRUST, "test_too_large_is_refused"),
    ("trust", "if not problem and encode(trust) != text:", "if False:", TRUST, "test_only_one_text_form"),
    ("trust", "if threshold > len(keys):", "if False:", TRUST, "test_ill_formed_trust_is_refused"),
    (
        "trust",
        "if len({key.public for key in keys}) != len(keys) or",
        "if",
        TRUST,
        "test_ill_formed_trust_is_refused",
    ),
    ("trust", "or _exchange_key_problem(trust.exchange_key)", "", TRUST, "test_ill_formed_trust_is_refused"),
    (
        "trust",
        "_require(candidate.note, candidate.current.roots, candidate.current.root_threshold,",
        "_require(candidate.note, candidate.current.roots, 1,",
        TRUST,
        "test_threshold_of_old_roots_counts",
    ),
    (
        "trust",
        "_require(candidate.note, candidate.trust.roots, candidate.trust.root_threshold,",
        "_require(candidate.note, candidate.trust.roots, 1,",
        TRUST,
        "test_threshold_of_new_roots_counts",
    ),
    (
        "trust",
        "_require(candidate.note, candidate.current.roots,",
        "_require(candidate.note, candidate.current.publishers,",
        TRUST,
        "test_publisher_keys_sign_no_trust",
    ),
    # acceptance, inside its checks
    (
        "acceptance",
        "candidate.trust.publishers, candidate.trust.threshold",
        "candidate.trust.publishers, 1",
        ACCEPTANCE,
        "test_below_threshold_is_refused",
    ),
    (
        "acceptance",
        "candidate.ratchet.epoch if candidate.ratchet else 0",
        "0",
        ACCEPTANCE,
        "test_epoch_below_ratchet_is_refused",
    ),
    (
        "acceptance",
        "(document.epoch, document.revision) >= (ratchet.epoch, ratchet.revision)",
        "document.revision >= ratchet.revision",
        ACCEPTANCE,
        "test_new_epoch_starts_over",
    ),
    (
        "acceptance",
        "if now < document.expires_at:",
        "if now <= document.expires_at:",
        ACCEPTANCE,
        OF_ACCEPTANCE["is_not_expired"],
    ),
    ("acceptance", "if seal is not _SEAL:", "if False:", ACCEPTANCE, "test_nobody_else_makes_an_accepted"),
    # requests
    ("request_signature", "if abs(now - created) > max_age_s:", "if False:", REQUEST, "test_stale_request_is_refused"),
    (
        "request_signature",
        "if abs(now - created) > max_age_s:",
        "if now - created > max_age_s:",
        REQUEST,
        "test_stale_request_is_refused",
    ),
    (
        "request_signature",
        "if not _is_signed(key, base, _read_signature(headers)):",
        "if False:",
        REQUEST,
        "test_another_key_is_refused",
    ),
    (
        "request_signature",
        'if found[5] != ("hmac-sha256" if isinstance(key, bytes) else "ed25519"):',
        "if False:",
        REQUEST,
        "test_public_key_is_no_hmac_key",
    ),
    ("request_signature", "    if not covered:", "    if False:", REQUEST, "test_unsigned_body_is_refused"),
    (
        "request_signature",
        'if method not in {"GET", "HEAD"}:',
        "if False:",
        REQUEST,
        "test_bodyless_post_is_refused",
    ),
    ("request_signature", "        if covered:", "        if False:", REQUEST, "test_digest_of_no_body_is_refused"),
    (
        "request_signature",
        'if headers.get("content-digest") != digest:',
        "if False:",
        REQUEST,
        "test_another_body_is_refused",
    ),
    (
        "request_signature",
        """f'"@method": {method}\\n""",
        """f'"@method": POST\\n""",
        REQUEST,
        "test_another_method_is_refused",
    ),
    (
        "request_signature",
        """"@request-target": {target}\\n""",
        """"@request-target": /\\n""",
        REQUEST,
        "test_another_target_is_refused",
    ),
    ("request_signature", '+ b"\\x00" + host.encode()', "", REQUEST, "test_keys_differ_by_names"),
    (
        "request_signature",
        "if not (_NONCE.fullmatch(nonce)",
        "if not (True",
        REQUEST,
        "test_header_injection_is_not_signed",
    ),
    # enrolment
    ("enrolment", "if keyid != request.host:", "if False:", ENROLMENT, "test_signed_name_is_the_asked_one"),
    ("enrolment", "if is_weak(key):", "if False:", ENROLMENT, "test_weak_identity_key_is_refused"),
    (
        "enrolment",
        "X25519PrivateKey.from_private_bytes(bytes(32)).exchange(key)",
        "pass",
        ENROLMENT,
        "test_weak_sealing_key_is_refused",
    ),
    (
        "enrolment",
        "key=identity_key_of(request.identity_key), now",
        "key=Ed25519PublicKey.from_public_bytes(b'x' * 32), now",
        ENROLMENT,
        "test_a_host_joins",
    ),
    ("enrolment", "if len(body) > MAX_BYTES:", "if False:", ENROLMENT, "test_a_huge_request_is_refused"),
    (
        "enrolment",
        "if not hmac.compare_digest(offered, held.secret_hash):",
        "if False:",
        ENROLMENT,
        "test_wrong_secret_is_refused",
    ),
    ("enrolment", "if request.host != held.host:", "if False:", ENROLMENT, "test_another_hosts_token_is_refused"),
    ("enrolment", "if now >= held.expires_at:", "if False:", ENROLMENT, "test_expired_token_is_refused"),
    (
        "enrolment",
        "if len(key) != 32 or text_of_key(key) != text:",
        "if False:",
        ENROLMENT,
        "test_loose_key_is_refused",
    ),
    (
        "enrolment",
        "token is None or token.encode() != text.strip()",
        "token is None",
        ENROLMENT,
        "test_a_join_token_has_one_text",
    ),
    # documents
    ("document", "if encode(document) != data:", "if False:", DOCUMENT, "test_another_form_is_refused"),
    ("document", "if len(data) > MAX_BYTES:", "if False:", DOCUMENT, "test_what_is_wrong_is_refused_and_named"),
    ("document", "if names != sorted(set(names)):", "if False:", DOCUMENT, "test_services_are_sorted"),
    (
        "document",
        'if service.purge and service.state != "absent":',
        "if False:",
        DOCUMENT,
        "test_purge_goes_with_absent",
    ),
    # rendering
    (
        "render",
        'if entry.purge and entry.state != "absent":',
        "if False:",
        RENDER,
        "test_what_problems_tells_is_not_rendered",
    ),
    (
        "render",
        'if parameter.type == "secret" and parameter.name in entry.parameters:',
        "if False:",
        RENDER,
        "test_what_problems_tells_is_not_rendered",
    ),
    (
        "render",
        'if parameter is None or parameter.type != "secret":',
        "if False:",
        RENDER,
        "test_what_problems_tells_is_not_rendered",
    ),
    # secrets
    (
        "sealing",
        '(b"towline secret 1", host.encode(), name.encode(), str(version).encode())',
        '(b"towline secret 1", name.encode(), str(version).encode())',
        SEALING,
        "test_it_opens_for_nobody_and_nothing_else",
    ),
    (
        "sealing",
        '(b"towline secret 1", host.encode(), name.encode(), str(version).encode())',
        '(b"towline secret 1", host.encode(), str(version).encode())',
        SEALING,
        "test_it_opens_for_nobody_and_nothing_else",
    ),
    (
        "sealing",
        '(b"towline secret 1", host.encode(), name.encode(), str(version).encode())',
        '(b"towline secret 1", host.encode(), name.encode())',
        SEALING,
        "test_it_opens_for_nobody_and_nothing_else",
    ),
    ("sealing", "padded += bytes(-len(padded) % _BLOCK)", "", SEALING, "test_its_length_does_not_tell_the_values"),
    ("sealing", "if len(value) > MAX_SECRET_BYTES:", "if False:", SEALING, "test_too_long_is_not_sealed"),
    (
        "render",
        'replace(content, origin=Origin(change=""))',
        "content",
        RENDER,
        "test_another_origin_is_the_same_content",
    ),
    (
        "render",
        "tuple(sorted(set(entry.depends_on)))",
        "entry.depends_on",
        RENDER,
        "test_everything_about_a_service_arrives",
    ),
    ("placement", "key=lambda entry: entry.service))", "key=lambda entry: 0))", RENDER, "test_order_means_nothing"),
]


def test_every_rule_of_acceptance_has_its_attack() -> None:
    """No rule stands in the list of checks without an attack that names it."""
    assert list(OF_ACCEPTANCE) == [check.__name__ for check in acceptance.CHECKS]


def test_every_rule_of_trust_has_its_attack() -> None:
    """No rule of trust files stands in their list of checks without an attack that names it."""
    assert list(OF_TRUST) == [check.__name__ for check in trust.CHECKS]


@pytest.mark.parametrize(("rule", "test"), OF_ACCEPTANCE.items())
def test_a_rule_of_acceptance_matters(rule: str, test: str) -> None:
    """With this rule taken out of the list, the test of its attack fails."""
    with mutated("desired_state.acceptance", f"\n    {rule},\n", "\n"):
        assert fails(ACCEPTANCE, test)


@pytest.mark.parametrize(("rule", "test"), OF_TRUST.items())
def test_a_rule_of_trust_matters(rule: str, test: str) -> None:
    """With this rule made to pass whatever it is shown, the test of its attack fails."""
    with mutated("desired_state.trust", f"def {rule}(candidate: Candidate) -> None:\n", _lenient(rule)):
        assert fails(TRUST, test)


def _lenient(rule: str) -> str:
    return f"def {rule}(candidate: Candidate) -> None:\n    return\n\n\ndef _taken_out(candidate: Candidate) -> None:\n"


@pytest.mark.parametrize(("module", "old", "new", "file", "test"), MUTANTS)
def test_a_check_matters(module: str, old: str, new: str, file: str, test: str) -> None:
    """With this check taken out, the test that is meant to notice fails."""
    with mutated(f"desired_state.{module}", old, new):
        assert fails(file, test)


@pytest.mark.parametrize(("file", "test"), sorted({(file, test) for *_, file, test in MUTANTS}))
def test_they_pass_without_a_mutant(file: str, test: str) -> None:
    """The same tests, read anew in the same way, pass where nothing is taken out: it is the mutant that fails them."""
    with mutated("desired_state.names", '"""The grammar of every name, once.', '"""The grammar of names.'):
        assert not fails(file, test)
