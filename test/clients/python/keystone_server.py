"""Runs OpenStack's Keystone for a test: keystone_server.py DIRECTORY.

DIRECTORY is a copy of what test/clients/python/keystone_prepare made. The first line of the output is the address.
"""
import os
import sys

os.environ["OS_KEYSTONE_CONFIG_DIR"] = sys.argv[1]
os.environ["OS_KEYSTONE_CONFIG_FILES"] = os.path.join(sys.argv[1], "keystone.conf")
os.chdir(sys.argv[1])
sys.argv = sys.argv[:1]

from keystone.server.wsgi import initialize_public_application  # noqa: E402
import waitress.server  # noqa: E402

server = waitress.server.create_server(initialize_public_application(), listen="127.0.0.1:0", threads=4)
print(f"http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
