"""AWS Signature Version 4, checked as AWS does; moto takes any."""

import hashlib
import hmac
import re


def is_signed_by(request, body, secret_key):
    """Whether the headers of a request (an `http.server` handler) carry a signature of this key over this body."""
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\d+)/([^/]+)/([^/]+)/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
        request.headers.get("Authorization", ""),
    )
    if not given:
        return False
    day, region, service, signed, signature = given.groups()
    path, _, query = request.path.partition("?")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed.split(";"))
    canonical = "\n".join([request.command, path, query, headers, signed, hashlib.sha256(body).hexdigest()])
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{digest}"
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), signature)
