"""A server that requires logins, with the published clients: passwords, keys and TLS."""

import asyncio
import shutil
import subprocess

import perspective
import pyarrow as pa
import pyarrow.flight as flight
import pytest
import websockets
from conftest import BINARY, PATIENCE_SECS, serve

TABLE = pa.table({"id": [1, 2], "price": [9.5, 8.5]})


def command(*arguments, text=""):
    done = subprocess.run([BINARY, *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A server that knows ann and a key, and the key."""
    config = tmp_path_factory.mktemp("secured") / "proscenium.toml"
    command("user", "add", "ann", "--config", str(config), text="secret\n")
    key = command("key", "new", "feed", "--config", str(config)).strip()
    with serve("--config", str(config)) as found:
        yield found, key


def bearer(key):
    return flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {key}".encode())])


def put(client, options):
    descriptor = flight.FlightDescriptor.for_path("t")
    writer, _ = client.do_put(descriptor, TABLE.schema, options)
    writer.write_table(TABLE)
    writer.close()


def test_flight_takes_a_password_for_a_token_and_a_key_as_one(secured):
    server, key = secured
    with flight.connect(server.grpc.replace("grpc", "grpc+tcp")) as client:
        with pytest.raises(flight.FlightUnauthenticatedError, match="requires a login"):
            client.do_get(flight.Ticket(b"t")).read_all()
        with pytest.raises(flight.FlightUnauthenticatedError, match="name or the password is wrong"):
            client.authenticate_basic_token("ann", "wrong")
        with pytest.raises(flight.FlightUnauthenticatedError, match="no key of this server"):
            put(client, bearer("psk_wrong"))
        put(client, bearer(key))
        header = client.authenticate_basic_token("ann", "secret")
        options = flight.FlightCallOptions(headers=[header])
        assert client.do_get(flight.Ticket(b"t"), options).read_all().num_rows == 2


def test_the_published_client_connects_with_a_header_and_not_without(secured):
    server, key = secured

    async def talk():
        with pytest.raises(websockets.InvalidStatus, match="401"):
            async with websockets.connect(server.websocket):
                pass
        headers = {"authorization": f"Bearer {key}"}
        async with websockets.connect(server.websocket, max_size=None, additional_headers=headers) as socket:

            async def send(message):
                await socket.send(bytes(message))

            client = perspective.AsyncClient(send)

            async def pump():
                async for message in socket:
                    await client.handle_response(message)

            task = asyncio.create_task(pump())
            try:
                table = await client.table({"x": [1, 2, 3]}, name="of_python")
                return await table.size()
            finally:
                task.cancel()

    assert asyncio.run(asyncio.wait_for(talk(), PATIENCE_SECS)) == 3


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificates")
def test_flight_over_tls(tmp_path):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority", "-days", "2")
    openssl("req", *new_key, "-keyout", "key.pem", "-out", "cert.csr", "-subj", "/CN=localhost")
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "cert.pem", "-days", "2", "-extfile", "names")
    config = tmp_path / "proscenium.toml"
    config.write_text('[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n')
    key = command("key", "new", "feed", "--config", str(config)).strip()
    with serve("--config", str(config)) as found:
        address = vars(found)["grpc+tls"]
        with flight.connect(address, tls_root_certs=(tmp_path / "ca.pem").read_bytes()) as client:
            put(client, bearer(key))
            assert client.do_get(flight.Ticket(b"t"), bearer(key)).read_all().num_rows == 2
        with pytest.raises(pa.ArrowException), flight.connect(address) as stranger:
            list(stranger.list_flights(options=bearer(key)))
