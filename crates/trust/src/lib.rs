//! Keys and OpenPGP signatures: bytes and a key ring in, verified text or a named refusal out.
