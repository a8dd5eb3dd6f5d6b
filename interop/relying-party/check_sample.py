"""The document's Python sample, verbatim except for the server's address."""

import contextlib
import io
import pathlib

from server import Server, check

# The sample is in a document that the project keeps outside its repository.
DOCUMENT = pathlib.Path(__file__).parents[3] / "shared/seeds/002_9c85245ef1a324bf.txt"
ADDRESS = "https://fido.example.com"

if not DOCUMENT.exists():
    print(f"skipped: the document is not there: {DOCUMENT.name}")
    raise SystemExit

text = DOCUMENT.read_text()
sample = text[text.index("import requests") : text.index("Minimal Backend-Proxied Example")]
assert sample.count(ADDRESS) == 1

for options in [], ["--arculus-compat"]:
    with Server(*options) as server:
        program = {}
        exec(compile(sample.replace(ADDRESS, server.url), DOCUMENT.name, "exec"), program)
        answers = {}
        # The sample prints the result of `.json()`, and stops with an exception if there is no JSON or no challenge.
        for function, word in (("register_user", "Registration:"), ("authenticate_user", "Authentication:")):
            with contextlib.redirect_stdout(io.StringIO()) as output:
                program[function]()
            answers[word] = output.getvalue()
        for word, answer in answers.items():
            name = f"sample: {word.lower()[:-1]} {' '.join(options)}".strip()
            check(f"{name} is answered in JSON", answer.startswith(word + " {"), answer)
            said = eval(answer.removeprefix(word))
            check(f"{name} with bogus values is refused: {said['errorMessage']}",
                  said["status"] in ("failed", "false") and said["errorMessage"], answer)
