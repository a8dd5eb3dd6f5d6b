"""A key of U2F alone: both use it, and both refuse what it has not."""

from pairs import both_sign_in, make, register, token
from steps import check, equal, keyfob

equal("keyfob info of a key of U2F", keyfob("info")["info"]["versions"], ["U2F_V2"])
made, _, _ = register("ours", "es256", "--uv", "discouraged")
both_sign_in(made, "es256", "--uv", "discouraged", get=("-p",))
both_sign_in(make("theirs", "es256"), "es256", "--uv", "discouraged", get=("-u", "-p"))
for refused, switches in ((("pin", "set"), ("-S",)), (("credentials", "list"), ("-L", "-r")), (("blobs", "list"), ("-L", "-b")),
                          (("fingerprints", "list"), ("-L", "-e")), (("config", "always-verify", "on"), ("-S", "-u"))):
    keyfob(*refused, pins=("1234", "1234"), code=8)
    check(f"fido2-token {' '.join(switches)} refuses too", token.refuses(*switches, pins=("1234", "1234")))
