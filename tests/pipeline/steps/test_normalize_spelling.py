import pytest

from headrace.pipeline.steps.normalize.spelling import Speller

SLIPS = """
accomodate accommodate, acheive achieve, accross across, agressive aggressive, apparant apparent,
arguement argument, basicly basically, beleive believe, buisness business, commitee committee,
completly completely, concious conscious, curiousity curiosity, definately definitely,
dissapear disappear, embarass embarrass, enviroment environment, existance existence,
familar familiar, foriegn foreign, freind friend, goverment government, immediatly immediately,
independant independent, knowlege knowledge, libary library, neccessary necessary,
noticable noticeable, occured occurred, persistant persistent, posession possession,
recieve receive, refered referred, relevent relevant, religous religious, seperate separate,
succesful successful, tendancy tendency, untill until, progam program, tranlsate translate,
questoin question, problme problem, becuase because, shoudl should, teh the, taht that,
dont don't, begining beginning, langauge language, grammer grammar
"""
PAIRS = [tuple(pair.split()) for pair in SLIPS.strip().split(",")]


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller.load()


def test_common_slips_are_corrected(speller: Speller) -> None:
    corrected = {slip: speller.correct(slip)[0] for slip, _ in PAIRS}
    missed = {slip for slip, word in PAIRS if corrected[slip] == slip}
    wrong = {slip: corrected[slip] for slip, word in PAIRS if corrected[slip] not in (slip, word)}
    assert wrong == {}
    assert len(missed) <= len(PAIRS) // 10, missed


@pytest.mark.parametrize(
    "text",
    [
        "Ask Siobhan Njoroge about Kielce, Recieve Ltd and NASA",
        "myvar foo_bar get_adress adress2 v2beta x.adress adress.csv #adress @adress ~/adress",
        "well-recieve-d pre-existance",
        "numpy, kubectl, webhooks, tokenizer, async, regex, frontend, uvicorn, repo, localhost",
        "colour color favourite favorite analyse analyze travelled traveled centre center organise",
        "hmm lol brb asap btw imho idk",
        "bonjour schnell gracias",
        "der das und il la les que los",
        "xylq qqqq zzzzz",
        "ls -la; cd src && git rebase",
    ],
)
def test_what_is_no_slip_stays(speller: Speller, text: str) -> None:
    assert speller.correct(text) == (text, 0)


def test_correcting_twice_changes_nothing_more(speller: Speller) -> None:
    once, changed = speller.correct(" ".join(slip for slip, _ in PAIRS))
    assert changed
    assert speller.correct(once) == (once, 0)


def test_counts_every_changed_word(speller: Speller) -> None:
    assert speller.correct("teh dog and teh cat recieve") == ("the dog and the cat receive", 3)
