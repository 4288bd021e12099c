"""A certificate authority of the tests, and certificates of it for 127.0.0.1."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs by way of an intermediate, so that a chain is needed."""

    def __init__(self) -> None:
        self.root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = self._sign("tests' root", self.root_key.public_key(), name("tests' root"), self.root_key, is_authority=True)
        self.intermediate = self._sign("tests' intermediate", self.key.public_key(), self.root.subject, self.root_key, is_authority=True)

    def _sign(self, subject: str, public_key: object, issuer: x509.Name, key: object, is_authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(name(subject)).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(is_authority, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
            .add_extension(x509.KeyUsage(not is_authority, False, False, False, False, is_authority, is_authority, False, False), True)
        )
        if not is_authority:
            here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([here]), False)
        return builder.sign(key, hashes.SHA256())

    def issue(self, folder: Path, is_rsa: bool = False) -> int:
        """Writes chain.pem and key.pem into the folder; answers the certificate's serial number."""
        key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("campanile", key.public_key(), self.intermediate.subject, self.key, is_authority=False)
        form = serialization.PrivateFormat.TraditionalOpenSSL if is_rsa else serialization.PrivateFormat.PKCS8
        (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        (folder / "chain.pem").write_bytes(pem(certificate) + pem(self.intermediate))
        return certificate.serial_number

    def trust(self) -> ssl.SSLContext:
        """A client that trusts the root and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem(self.root).decode())
        return context
