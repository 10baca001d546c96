"""Sexual content that involves minors. Rules alone: there is no data to learn it from, rightly."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import sign

__all__ = ["SexualMinorsDetector"]

_MINOR = (
    r"\b(?:(?:[3-9]|1[0-7])[- ]?(?:years?|yrs?|yo)\b(?:[- ]?old)?|(?:[3-9]|1[0-7]) ?y/?o|under ?aged?|minors?\b(?! (?:scale|key|league|change|version|issue|detail))"
    r"|child(?:ren)?|kids?|toddlers?|preteens?|pre-teens?|schoolgirls?|schoolboys?|little (?:girls?|boys?)|young (?:girls?|boys?)"
    r"|lolis?|lolicon|shota(?:con)?|jailbait|(?:middle|elementary|primary) school(?:er|ers| students?)|teen(?:age)? (?:girls?|boys?))"
)
_MINOR_NEEDS = "year|yr|yo|y/o|under|minor|child|kid|toddler|preteen|pre-teen|schoolgirl|schoolboy|little|young|loli|shota|jailbait|school|teen"
_SEXUAL = (
    r"\b(?:sex(?:ual(?:ly|ized?|ised?)?|y)?|sex(?:ual)? (?:scene|act|relations?)|porn\w*|erotic\w*|nudes?|naked|hentai|blow ?job|fuck\w*"
    r"|masturbat\w*|orgasm\w*|horny|seduc\w*|molest\w*|rape[ds]?|raping|undress\w*|strip(?:s|ped|ping)? (?:for|naked)|lust\w*|nsfw|smut)\b"
)
_CSAM = r"\b(?:child(?:ren)?|kiddie|kids?|preteen|underage|loli(?:con)?|shota(?:con)?|pedo\w*)[ -]?(?:porn\w*|erotica|nudes?|hentai|smut|sex (?:videos?|pics?|pictures?|stories|story))\b|\bcsam\b"
_PROTECTS = (
    r"\b(?:prevent\w*|protect\w*|report(?:ing|ed|s)?|victims?|survivors?|abuse[ds]?|abuser|assault\w*|laws?|legal\w*|illegal|crimes?|convicted|charged|arrested"
    r"|court|police|sentenced?|education|educat\w+|curriculum|therap\w+|counsel\w*|hotline|awareness|safeguard\w*|grooming|trafficking|exploit\w+"
    r"|parents?|teach\w*|doctors?|health|puberty|combat\w*|detect\w*|against|research\w*|stud(?:y|ies)|policy|statistics|allegations?|scandal)\b"
)
_HAN_MINOR = r"(?:(?:[3-9]|1[0-7]|[三四五六七八九十]|十[一二三四五六七])岁|未成年|小学生|初中生|高中生|中学生|儿童|孩子|小孩|幼女|幼童|萝莉|正太|小女孩|小男孩|少女|女童|男童)"
_HAN_SEXUAL = "(?:色情|做爱|性爱|性交|裸体|裸照|淫|黄片|情色|床戏|口交|强奸|猥亵|挑逗|勾引|性感|自慰|上床|性行为|露骨)"
_HAN_PROTECTS = "预防|保护|防止|防范|举报|受害|性侵|侵害|法律|犯罪|判处|被告|法院|警方|性教育|教育|家长|老师|医生|健康|青春期|治疗|心理|救助|打击|严惩|热线|研究|报道|案件|禁止"


class SexualMinorsDetector(ContentDetector):
    """Finds sentences that join sexual words with words for a minor.

    No policy can switch this off (content/floor.py). Sentences about protection, law, education
    and medicine score below the floor; those with terms of abuse material do so only there. Does
    not catch: ages that are told in another sentence, and what says neither age nor act.
    """

    cost_us = 40

    def __init__(self) -> None:
        kind = "sexual/minors"
        signs = [
            sign(kind, 0.95, "porn|erotica|nude|hentai|smut|sex |csam", _CSAM, _PROTECTS),
            sign(kind, 0.9, _MINOR_NEEDS, rf"{_MINOR}[^.!?\n]{{0,80}}?{_SEXUAL}|{_SEXUAL}[^.!?\n]{{0,80}}?{_MINOR}", _PROTECTS),
            sign(kind, 0.95, "儿童色情|幼女|萝莉|正太|未成年", "儿童色情|幼女(?:视频|图片|资源|裸|色情)|(?:萝莉|正太|未成年)(?:色情|黄片|裸照|性爱|资源|a片)", _HAN_PROTECTS),
            sign(kind, 0.9, "岁|未成年|学生|中生|儿童|孩|幼|萝莉|正太|少女|女童|男童", f"{_HAN_MINOR}[^。！？\n]{{0,24}}?{_HAN_SEXUAL}|{_HAN_SEXUAL}[^。！？\n]{{0,24}}?{_HAN_MINOR}", _HAN_PROTECTS),
        ]  # fmt: skip
        super().__init__("sexual_minors", (kind,), signs)
