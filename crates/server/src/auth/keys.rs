//! Verification keys: each is bound to one algorithm and checked once, when the server starts.
//!
//! Invariant: a [`Key`] verifies with its own algorithm and no other, so a public key can never serve as an HMAC secret.

use super::jwt::strict_object;
use super::secret::{self, SecretRule};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;
/// RFC 7518 section 3.2: an HS256 key is at least as long as the hash.
const HMAC_BYTES_MIN: usize = 32;

/// The signature algorithms that a key can be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret shared with the issuer.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 to 8192 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Whether a header's `alg` names this algorithm. `Ed25519` is the newer name of `EdDSA` (RFC 9864).
    pub fn is_named(self, alg: &str) -> bool {
        match self {
            Self::Hs256 => alg == "HS256",
            Self::Rs256 => alg == "RS256",
            Self::Es256 => alg == "ES256",
            Self::EdDsa => alg == "EdDSA" || alg == "Ed25519",
        }
    }

    /// Whether signer and verifier share one secret.
    pub fn is_symmetric(self) -> bool {
        self == Self::Hs256
    }

    fn primitive(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// What the configuration, or a file that it names, gives as a key. Has no `Debug`: it may hold a secret.
#[derive(Clone)]
pub enum KeyMaterial {
    /// An HMAC secret, taken byte by byte as it stands (as Django's `SECRET_KEY` is).
    Secret(String),
    /// A public key: `BEGIN PUBLIC KEY`, or `BEGIN RSA PUBLIC KEY`.
    Pem(String),
    /// One JWK as JSON.
    Jwk(String),
}

/// One configured key.
#[derive(Clone)]
pub struct KeyConfig {
    /// The only algorithm that this key verifies.
    pub algorithm: Algorithm,
    /// The key's name. A token that names a configured key is held against that key alone.
    pub kid: Option<String>,
    /// The key itself.
    pub material: KeyMaterial,
}

/// A key cannot be used. The sentence is for the operator and never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub(super) String);

impl KeyError {
    fn new(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }
}

/// A checked key, bound to its algorithm.
#[derive(Clone)]
pub struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    decoding: DecodingKey,
}

impl Key {
    /// Reads and checks one configured key.
    ///
    /// # Errors
    /// A sentence, when the key is malformed, too short, weak, private, of another algorithm or meant for encryption.
    pub fn new(config: &KeyConfig, rule: SecretRule) -> Result<Self, KeyError> {
        let algorithm = config.algorithm;
        match &config.material {
            KeyMaterial::Secret(secret) => {
                if !algorithm.is_symmetric() {
                    return Err(KeyError::new("a secret can only be an HS256 key; give RS256, ES256 and EdDSA a public key"));
                }
                Ok(Self { algorithm, kid: config.kid.clone(), decoding: hmac_key(secret.as_bytes(), rule)? })
            }
            KeyMaterial::Pem(text) => Ok(Self { algorithm, kid: config.kid.clone(), decoding: pem_key(algorithm, text)? }),
            KeyMaterial::Jwk(text) => {
                let jwk = strict_object(text.as_bytes()).map_err(|why| KeyError(format!("the JWK is refused: {why}")))?;
                let key = jwk_key(&jwk, rule)?;
                if key.algorithm != algorithm {
                    return Err(KeyError::new("the JWK is for another algorithm than the configured one"));
                }
                let kid = config.kid.clone().or(key.kid);
                Ok(Self { algorithm, kid, decoding: key.decoding })
            }
        }
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub(super) fn verifies(&self, signature: &str, message: &[u8]) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, self.algorithm.primitive()).unwrap_or(false)
    }
}

/// Reads a JWK set (RFC 7517 section 5) from its JSON text; keys for encryption or for unsupported algorithms are left out.
///
/// # Errors
/// A sentence, when a signing key is malformed, when two share a `kid`, when none is left, or when secrets stand beside
/// public keys: whoever may read such a set as public would hold the secret.
pub fn keys_from_jwk_set(text: &str, rule: SecretRule) -> Result<Vec<Key>, KeyError> {
    let set = strict_object(text.as_bytes()).map_err(|why| KeyError(format!("the JWK set is refused: {why}")))?;
    let members = set.get("keys").and_then(Value::as_array).ok_or_else(|| KeyError::new("a JWK set has an array `keys`"))?;
    let mut keys = Vec::with_capacity(members.len());
    for member in members {
        let jwk = member.as_object().ok_or_else(|| KeyError::new("each member of a JWK set is an object"))?;
        if is_for_signatures(jwk) && supported_algorithm(jwk).is_some() {
            keys.push(jwk_key(jwk, rule)?);
        }
    }
    if keys.is_empty() {
        return Err(KeyError::new("the JWK set holds no key for HS256, RS256, ES256 or EdDSA signatures"));
    }
    let secrets = members.iter().filter(|member| member["kty"] == "oct").count();
    if secrets != 0 && secrets != members.len() {
        return Err(KeyError::new("the JWK set mixes secrets with public keys; keep secrets out of it"));
    }
    refuse_repeated_kid(&keys)?;
    Ok(keys)
}

/// Two keys of one name would make the choice between them a guess.
pub(super) fn refuse_repeated_kid(keys: &[Key]) -> Result<(), KeyError> {
    for (position, key) in keys.iter().enumerate() {
        if key.kid.is_some() && keys[..position].iter().any(|earlier| earlier.kid == key.kid) {
            return Err(KeyError::new("two keys have the same `kid`"));
        }
    }
    Ok(())
}

fn hmac_key(secret: &[u8], rule: SecretRule) -> Result<DecodingKey, KeyError> {
    if secret.is_empty() {
        return Err(KeyError::new("the HS256 secret is empty"));
    }
    if secret.starts_with(b"-----BEGIN") {
        return Err(KeyError::new("the HS256 secret is a PEM block; a public key as a secret would let anyone sign"));
    }
    if rule == SecretRule::Strong {
        secret::check(secret).map_err(|weak| KeyError(format!("the HS256 secret is refused: {weak}")))?;
    }
    Ok(DecodingKey::from_secret(secret))
}

fn pem_key(algorithm: Algorithm, text: &str) -> Result<DecodingKey, KeyError> {
    let text = text.trim();
    if text.contains("PRIVATE KEY") {
        return Err(KeyError::new("this is a private key; the server only needs the public one (openssl pkey -pubout)"));
    }
    if !text.starts_with("-----BEGIN PUBLIC KEY-----") && !text.starts_with("-----BEGIN RSA PUBLIC KEY-----") {
        return Err(KeyError::new("the key is not a PEM block of `BEGIN PUBLIC KEY` or `BEGIN RSA PUBLIC KEY`"));
    }
    let read = match algorithm {
        Algorithm::Hs256 => return Err(KeyError::new("HS256 needs a secret, not a public key")),
        Algorithm::Rs256 => DecodingKey::from_rsa_pem(text.as_bytes()),
        Algorithm::Es256 => DecodingKey::from_ec_pem(text.as_bytes()),
        Algorithm::EdDsa => DecodingKey::from_ed_pem(text.as_bytes()),
    };
    let unreadable = || KeyError::new("the PEM block does not hold a public key of the configured algorithm");
    let key = read.map_err(|_| unreadable())?;
    let bytes = key.try_get_as_bytes().map_err(|_| unreadable())?;
    match algorithm {
        Algorithm::Rs256 => {
            let (modulus, exponent) = rsa_components(bytes).ok_or_else(unreadable)?;
            check_rsa(modulus, exponent)?;
        }
        Algorithm::Es256 => check_point(&ECDSA_P256_SHA256_FIXED, bytes)?,
        Algorithm::EdDsa => check_point(&ED25519, bytes)?,
        Algorithm::Hs256 => {}
    }
    Ok(key)
}

fn jwk_key(jwk: &Map<String, Value>, rule: SecretRule) -> Result<Key, KeyError> {
    if !is_for_signatures(jwk) {
        return Err(KeyError::new("the JWK is not for verifying signatures (`use`, `key_ops`)"));
    }
    let algorithm = supported_algorithm(jwk)
        .ok_or_else(|| KeyError::new("the JWK's `kty`, `crv` and `alg` do not fit HS256, RS256, ES256 or EdDSA"))?;
    if jwk.contains_key("d") {
        return Err(KeyError::new("the JWK holds a private key (`d`); the server only needs the public part"));
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err(KeyError::new("the JWK's `kid` is not a text")),
    };
    let decoding = match algorithm {
        Algorithm::Hs256 => {
            let secret = jwk_bytes(jwk, "k")?;
            if secret.len() < HMAC_BYTES_MIN {
                return Err(KeyError::new("the JWK's secret is shorter than 32 bytes (RFC 7518 section 3.2)"));
            }
            hmac_key(&secret, rule)?
        }
        Algorithm::Rs256 => {
            let (modulus, exponent) = (jwk_bytes(jwk, "n")?, jwk_bytes(jwk, "e")?);
            check_rsa(&modulus, &exponent)?;
            DecodingKey::from_rsa_raw_components(&modulus, &exponent)
        }
        Algorithm::Es256 => {
            let (x, y) = (jwk_bytes(jwk, "x")?, jwk_bytes(jwk, "y")?);
            if x.len() != 32 || y.len() != 32 {
                return Err(KeyError::new("the JWK's `x` and `y` are not 32 bytes each"));
            }
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            check_point(&ECDSA_P256_SHA256_FIXED, &point)?;
            DecodingKey::from_ec_der(&point)
        }
        Algorithm::EdDsa => {
            let x = jwk_bytes(jwk, "x")?;
            check_point(&ED25519, &x)?;
            DecodingKey::from_ed_der(&x)
        }
    };
    Ok(Key { algorithm, kid, decoding })
}

fn jwk_bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyError> {
    let text = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError(format!("the JWK's `{name}` is not base64url without padding")))
}

fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let use_allows = jwk.get("use").is_none_or(|used| used == "sig");
    let operations_allow =
        jwk.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
    use_allows && operations_allow
}

/// The algorithm that `kty` and `crv` imply; `alg`, when present, must agree.
fn supported_algorithm(jwk: &Map<String, Value>) -> Option<Algorithm> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let implied = match (text("kty")?, text("crv")) {
        ("oct", None) => Algorithm::Hs256,
        ("RSA", None) => Algorithm::Rs256,
        ("EC", Some("P-256")) => Algorithm::Es256,
        ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
        _ => return None,
    };
    let alg_agrees = jwk.get("alg").is_none_or(|alg| alg.as_str().is_some_and(|alg| implied.is_named(alg)));
    alg_agrees.then_some(implied)
}

fn check_point(algorithm: &'static dyn VerificationAlgorithm, point: &[u8]) -> Result<(), KeyError> {
    // Parsed here so that a point off its curve stops the start, instead of refusing every token later.
    ParsedPublicKey::new(algorithm, point).map(|_| ()).map_err(|_| KeyError::new("the public key is not a point on its curve"))
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyError> {
    let bits = bit_length(modulus);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(KeyError(format!("the RSA key has {bits} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are accepted")));
    }
    // An exponent of 1 would make every padded digest its own signature, and an even one cannot exist.
    if bit_length(exponent) < 2 || exponent.last().is_none_or(|last| last % 2 == 0) {
        return Err(KeyError::new("the RSA key's public exponent is even or below 3"));
    }
    if has_roca_fingerprint(modulus) {
        return Err(KeyError::new("the RSA key was made by a generator with the ROCA flaw (CVE-2017-15361); make a new one"));
    }
    Ok(())
}

fn bit_length(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &number[first..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

/// ROCA primes have the form `k·M + (65537^a mod M)`, so such a modulus is a power of 65537 modulo every small prime
/// (Nemec et al., CCS 2017). A sound key passes for one with a chance below 2^-27.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let residue = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * (65537 % prime) % prime;
            power == residue
        })
    })
}

/// Modulus and exponent of a PKCS #1 `RSAPublicKey`: a sequence of two positive integers.
fn rsa_components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, _) = read_der(der, 0x30)?;
    let (modulus, rest) = read_der(body, 0x02)?;
    let (exponent, _) = read_der(rest, 0x02)?;
    Some((modulus, exponent))
}

/// One DER element of the given tag: its content, and what follows it.
fn read_der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = bytes else { return None };
    if *found != tag {
        return None;
    }
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let length_bytes = usize::from(length & 0x7f);
    if !(1..=2).contains(&length_bytes) {
        return None;
    }
    let (length, rest) = rest.split_at_checked(length_bytes)?;
    rest.split_at_checked(length.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte)))
}
