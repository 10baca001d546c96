"""What few-shot examples are worth, by how they are chosen: `python bench/few_shot.py`.

The built-in model (135M) sorts 24 messages of customers into four kinds, with six examples out of forty:
the first six, or the nearest with more or less diversity. Through the whole pipeline, at temperature 0.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from headrace.access.principal import Principal
from headrace.pipeline.trial import try_case
from headrace.prompts.file import Expectation, PromptTest
from headrace.server.boot import open_platform

ROOT = Path(__file__).parent.parent
KNOWN = {
    "delivery": "Where is my parcel?|My package is two days late.|When will my order arrive?|"
    "The courier never came.|The box was left at the wrong house.|"
    "Can you tell me the tracking number?|How long does shipping take?|"
    "My delivery was marked as received but it is not here.|The parcel got lost.|"
    "Why has my order not been shipped?",
    "payment": "I was charged twice.|My card was declined.|Can I pay by invoice?|The bill is wrong.|"
    "When is the amount debited?|I never got the receipt.|Do you accept PayPal?|"
    "The price on the invoice differs.|My refund has not been paid.|Can I pay in instalments?",
    "account": "I forgot my password.|I cannot log in.|How do I change my e-mail address?|"
    "Please delete my account.|My profile is locked.|I did not get the code to sign in.|"
    "How do I update my username?|Someone hacked my login.|Two accounts were merged wrongly.|"
    "I want to change my phone number in my profile.",
    "product": "The lamp is broken.|Does this jacket come in blue?|The zip of my bag is torn.|"
    "Is the phone waterproof?|How do I assemble the desk?|A screw is missing.|"
    "The screen has a crack.|What is the battery life?|The shoes are too small.|"
    "Is the table made of oak?",
}
ASKED = {
    "delivery": "The package still has not come.|Has my order left the warehouse?|"
    "The driver put it at my neighbour's door.|How many days until it gets here?|"
    "The shipment seems to be stuck.|My parcel arrived opened.",
    "payment": "You took the money two times.|Is it possible to pay with a credit card?|"
    "The total on my bill is too high.|I still wait for my money back.|"
    "Please send me an invoice.|The bank refused the transaction.",
    "account": "My password does not work any more.|How can I close my user account?|"
    "I need to change the e-mail I sign in with.|The login page says I am blocked.|"
    "I can't reset my password.|Please change the name in my profile.",
    "product": "The handle of the mug came off.|Which colours does the sofa have?|"
    "How do I put the shelf together?|Is this watch water resistant?|"
    "The laptop does not switch on.|The trousers do not fit.",
}
TEMPLATE = """\
messages:
  system: Sort the message into delivery, payment, account or product. Answer with that word.
params: {max_tokens: 4}
examples: {from: rows.jsonl, most: 6, CHOOSE}
"""
WAYS = {
    "first": "choose: first",
    "nearest-0.0": "choose: nearest, diversity: 0.0",
    "nearest-0.3": "choose: nearest, diversity: 0.3",
    "nearest-0.5": "choose: nearest, diversity: 0.5",
}


def write(root: Path) -> None:
    """A service of four templates. The dataset goes round the kinds, so that `first` sees all."""
    by_kind = [[(text, kind) for text in texts.split("|")] for kind, texts in KNOWN.items()]
    rows = [
        msgspec.json.encode({"prompt": text, "completion": kind}).decode()
        for each in zip(*by_kind, strict=True)
        for text, kind in each
    ]
    (root / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (root / "prompts").mkdir()
    for name, choose in WAYS.items():
        text = TEMPLATE.replace("CHOOSE", choose)
        (root / "prompts" / f"{name}.yaml").write_text(text, encoding="utf-8")


async def main() -> None:
    me = Principal("bench", "bench", "admin")
    tests = [
        PromptTest(user=text, language="en", expect=Expectation(equals=kind))
        for kind, texts in ASKED.items()
        for text in texts.split("|")
    ]
    with tempfile.TemporaryDirectory() as folder:
        root, home = Path(folder) / "service", Path(folder) / "home"
        root.mkdir()
        home.mkdir(mode=0o700)
        (home / "models").symlink_to(ROOT / ".cache" / "headrace" / "models")
        write(root)
        async with open_platform(root, {**os.environ, "HEADRACE_HOME": str(home)}) as platform:
            for name in WAYS:
                template = platform.service.prompts.get(name)
                begun = time.perf_counter()
                trials = [await try_case(platform.service, me, template, each) for each in tests]
                right = sum(each.outcome == "passed" for each in trials)
                took = (time.perf_counter() - begun) / len(tests)
                sys.stdout.write(f"{name:12} {right:2} of {len(tests)}, {took:.2f} s an answer\n")


if __name__ == "__main__":
    asyncio.run(main())
