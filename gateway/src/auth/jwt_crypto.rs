//! The cryptography of tokens: `jsonwebtoken`'s verifiers over ring, the provider that TLS uses, too.
//!
//! Invariant: only asymmetric algorithms exist here, so a token can be neither unsigned nor signed with a public key as the
//! secret of an HMAC. Nothing is signed.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};

use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    self as ring_signature, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// The names of the algorithms.
pub const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Parses the name of one of [`ALGORITHMS`].
pub fn parse_algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.contains(&name).then(|| name.parse().ok()).flatten()
}

/// Makes this the cryptography of the process.
pub fn install() {
    static INSTALLED: Once = Once::new();
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: refuse_to_sign,
        verifier_factory: verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    // Another one may be there only if another crate of the process installed it.
    INSTALLED.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

fn refuse_to_sign(_algorithm: &Algorithm, _key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let family = match check_of(*algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)? {
        Check::Rsa(_) => AlgorithmFamily::Rsa,
        Check::Curve(_) if *algorithm == Algorithm::EdDSA => AlgorithmFamily::Ed,
        Check::Curve(_) => AlgorithmFamily::Ec,
    };
    if key.family() != family {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

/// How ring checks the signatures of an algorithm.
enum Check {
    Rsa(&'static ring_signature::RsaParameters),
    Curve(&'static dyn VerificationAlgorithm),
}

fn check_of(algorithm: Algorithm) -> Option<Check> {
    Some(match algorithm {
        Algorithm::RS256 => Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Check::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Check::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Check::Curve(&ring_signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Check::Curve(&ring_signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Check::Curve(&ring_signature::ED25519),
        // Symmetric ones, and those that the crate may add.
        _ => return None,
    })
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let check = check_of(self.algorithm).ok_or_else(signature::Error::new)?;
        let is_valid = match (check, self.key.kind()) {
            (Check::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (Check::Rsa(parameters), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(parameters, der).verify(message, signature).is_ok()
            }
            (Check::Curve(curve), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(curve, point).verify(message, signature).is_ok()
            }
            (Check::Curve(_), DecodingKeyKind::RsaModulusExponent { .. }) => false,
        };
        is_valid.then_some(()).ok_or_else(signature::Error::new)
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_algorithm_has_a_check_and_symmetric_ones_have_none() {
        for name in ALGORITHMS {
            assert!(parse_algorithm(name).is_some_and(|algorithm| check_of(algorithm).is_some()), "{name}");
        }
        for name in ["none", "None", "HS256", "HS512", "", "rs256"] {
            assert!(parse_algorithm(name).is_none(), "{name}");
        }
        let secret = DecodingKey::from_secret(b"a secret of some length, for HMAC").unwrap();
        for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(verifier(&algorithm, &secret).is_err(), "{algorithm:?}");
        }
    }
}
