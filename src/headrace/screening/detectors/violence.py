"""Violence: threats and wishes of harm, and graphic descriptions of it."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["ViolenceDetector"]

_GORE = (
    r"\b(?:disembowel\w*|eviscerat\w*|decapitat\w*|dismember\w*|mutilat\w*|severed (?:heads?|limbs?|arms?|legs?|fingers?)"
    r"|(?:blood|brains?|guts|intestines|entrails)[^.!?\n]{0,24}?(?:spill\w*|splatter\w*|gush\w*|spray\w*|pour\w*|ooz\w*)"
    r"|goug\w+ (?:out )?(?:his|her|their|my|your) eyes?|skin(?:ned|ning) (?:him|her|them) alive|(?:slit|slash)\w* (?:his|her|their) throats?|crushed? (?:his|her|their) skulls?)\b"
)
_NEWS = r"\b(?:police|court|said|reported|according to|convicted|trial|historians?|battle|war|museum|surgery|patients?|medical)\b"


class ViolenceDetector(ContentDetector):
    """Finds announced or wished violence against people, and gore.

    News, history and medicine are told apart by their words, and not always. Does not catch:
    veiled threats, violence without a word for it.
    """

    def __init__(self) -> None:
        signs = [
            sign("violence", 0.85, "kill|stab|shoot|murder|strangle|beat|burn|bomb|slaughter|hang", r"\b(?:i|we)(?:'ll| will| am going to|'m going to| am gonna|'m gonna| want to|'d love to| should)\b[^.!?\n]{0,24}?\b(?:kill|stab|shoot|murder|strangle|beat|burn|slaughter|hang)\b (?:him|her|them|everyone|all of them|people|those|that|my (?:boss|wife|husband|neighbou?r|teacher|ex))\b"),
            sign("violence", 0.85, "shoot up|blow up|mass shooting|massacre", rf"\b(?:going to|want to|plan(?:ning)? to|will|gonna)\b{GAP}\b(?:shoot up|blow up|bomb|massacre)\b"),
            sign("violence", 0.75, "deserve|should", r"\b(?:they|he|she|these people|those people) (?:all )?(?:deserves?|should) (?:to )?(?:die|be (?:shot|hanged|killed|executed|beaten|burned))\b"),
            sign("violence/graphic", 0.75, "disembowel|eviscerat|decapitat|dismember|mutilat|severed|blood|brain|guts|intestines|entrails|goug|skin|slit|slash|skull", _GORE, _NEWS),
            sign("violence", 0.85, "杀|弄死|砍|捅|打断|打死|烧死|掐死|炸", f"(?:我|老子|我们)(?:一定|今晚|明天|就|真|想|会|要|迟早){{1,5}}{HAN_GAP}(?:杀(?:了|掉|死)|弄死|砍死|捅死|打断|打死|烧死|掐死|炸(?:了|掉|死)){HAN_GAP}(?:他|她|它|他们|你|那个|这个|所有人|全家)"),
            sign("violence", 0.75, "枪毙|该死|不得好死|打死", "(?:都|就|全)(?:应该|该|得)(?:拉出去)?(?:枪毙|打死|杀了|砍头)|不得好死"),
            sign("violence/graphic", 0.75, "脑浆|肠子|内脏|碎尸|肢解|割喉|血肉模糊|鲜血|剥皮|斩首|开膛|断肢|骨头碎裂|血溅", "脑浆|肠子(?:流|拖)|内脏(?:流|涌)|碎尸|肢解|割(?:开|断)?(?:了)?(?:他|她)?的?喉|血肉模糊|鲜血(?:喷|四溅|直流)|剥皮|开膛破肚|骨头碎裂|血溅", "警方|法院|据.{0,6}报道|历史|战争|手术|医生|患者|电影|被告"),
        ]  # fmt: skip
        super().__init__(
            "violence", ("violence", "violence/graphic"), signs, {"violence": ("violence",)}
        )
