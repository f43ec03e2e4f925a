"""`towline-puller kind check`: whether a kind's script keeps the contract, tried on this machine below a scratch
prefix, each call by the runner that calls it in production."""
