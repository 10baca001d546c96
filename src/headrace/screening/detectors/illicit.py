"""Illicit: asking or telling how to break the law or to harm others."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["IllicitDetector"]

_HOW = r"\b(?:how (?:do|can|could|should|would|to|might)|ways? to|steps? to|instructions?|guide|tutorial|recipe|teach me|show me|explain|help me|tell me|give me|write|create|plan|detail\w*|describe|need to|want to)\b"
_HOW_NEEDS = "how |ways |way to|step|instruction|guide|tutorial|recipe|teach|show me|explain|help me|tell me|give me|write|create|plan|detail|describe|need to|want to"
_WEAPON = (
    r"\b(?:(?:mak|build|construct|creat|assembl|plant|detonat)\w* (?:an? |the |some )?(?:\w+ ){0,2}(?:bombs?|explosives?|ied|grenades?|molotov\w*|nerve (?:gas|agent)|sarin|ricin|mustard gas|bioweapons?|biological (?:weapons?|agents?)|chemical weapons?|dirty bomb|silencers?|ghost guns?|napalm)"
    r"|(?:hire|find) (?:a )?(?:hit ?man|assassin)|poison (?:someone|my|a person|people|him|her)|(?:kill|murder|stab|strangle|kidnap) (?:someone|my|a person|people|him|her|somebody)|get away with murder|mass shooting|buy (?:a |an )?(?:illegal )?guns? (?:without|illegally))\b"
)
_CRIME = (
    r"\b(?:(?:cook|mak|synthesi[sz]|produc|manufactur|extract|smuggl|sell|traffic|buy)\w* (?:\w+ ){0,3}(?:meth(?:amphetamine)?|cocaine|heroin|fentanyl|mdma|ecstasy|lsd|ghb|crack|(?:illegal |hard )drugs)"
    r"|hack (?:into )?(?:\w+ ){0,4}(?:accounts?|e-?mails?|wi-?fi|phones?|computers?|servers?|network|system|camera|instagram|facebook|database|atm)|(?:writ|creat|build|develop|mak|spread)\w* (?:\w+ ){0,3}(?:malware|ransomware|keyloggers?|trojans?|computer viruse?s?|phishing (?:e-?mails?|site|page|messages?)|spyware|botnet)"
    r"|(?:launder|counterfeit|forg)\w* (?:\w+ ){0,3}(?:money|cash|passports?|documents?|signatures?|checks?|cheques?|prescriptions?|currency|ids?)|(?:make|get|create|buy) (?:an? )?(?:fake|forged) (?:\w+ )?(?:passports?|ids?|identit\w+|licen[sc]es?|documents?|degrees?|prescriptions?)"
    r"|(?:steal|hotwire|carjack) (?:an? |the |someone'?s? |my )?(?:\w+ ){0,2}(?:cars?|identit\w+|credit cards?|money|data|packages?|bikes?|passwords?|something)|shoplift\w*|pick ?pocket\w*|break into (?:an? |the |someone'?s? |my )?(?:\w+ )?(?:house|home|car|building|office|store|locker)"
    r"|blackmail|extort|commit (?:\w+ )?(?:fraud|arson|perjury|murder|identity theft|a crime)|evad\w+ (?:\w+ )?tax\w*|credit card (?:skimm\w+|fraud)|human traffic\w+|insider trading|embezzl\w+|bribe (?:an?|the)|stalk (?:my|someone|an?)|money (?:mule|laundering)|pyramid scheme|ponzi scheme|dogfights?|poach\w* (?:\w+ )?(?:animals|rhinos?|elephants?)|bypass (?:\w+ )?(?:drug test|age verification|drm|paywall))\b"
)
_DEFENDS = r"\b(?:prevent\w*|protect\w*|defend\w*|detect\w*|avoid (?:being|becoming)|report(?:ing)?|stop|combat\w*|against|victims?|history of|prosecut\w+|penalt\w+|legal(?:ly)?|law|police|law enforcement|authorized|penetration test\w*|novel|documentary|historical\w*)\b"
_HAN_HOW = "(?:怎么|怎样|如何|教我|告诉我|步骤|方法|教程|指南|详细|具体|列出|给出|说明|写一|帮我|我想|策略|技巧)"
_HAN_WEAPON = "(?:(?:制作|制造|做|造|安放|引爆|合成|自制).{0,6}?(?:炸弹|炸药|燃烧瓶|燃烧弹|手雷|雷管|毒气|沙林|毒剂|战剂|生化武器|枪支|枪|消音器)|(?:雇|找).{0,3}?(?:杀手|凶)|(?:毒死|毒害|下毒|谋杀|杀死|勒死|绑架|弄死|杀掉|迷晕|迷奸).{0,4}?(?:人|他|她|别人|某|老板|丈夫|妻子|奶奶|小孩|孩子)?|(?:非法|黑市).{0,3}?(?:买|购买|卖).{0,2}?枪)"
_HAN_CRIME = "(?:(?:制造|制作|提炼|合成|贩卖|卖|买|种植|走私).{0,6}?(?:毒品|冰毒|海洛因|可卡因|大麻|摇头丸|芬太尼|制毒原料)|(?:破解|入侵|黑进|盗取|盗用|窃取|盗).{0,6}?(?:账号|账户|密码|邮箱|微信|手机|电脑|wifi|系统|数据库|身份|信用卡|银行卡)|(?:编写|写|制作|开发).{0,10}?(?:病毒|木马|勒索软件|钓鱼(?:邮件|网站|短信)|外挂|键盘记录)|洗钱|(?:伪造|假冒|办).{0,4}?(?:身份证|护照|证件|签名|文凭|公章|发票|假证|假钞)|印假[钞币]|偷(?:车|东西|钱|税|窃|渡|猎)|入室盗窃|撬(?:锁|门)|敲诈|勒索|绕过.{0,6}?(?:验证|监管|防盗|审查)|盗刷|盗窃|诈骗(?:别人|老人|钱)|电信诈骗|骗(?:钱|保|贷|银行卡|别人|收件人|老人)|逃税|偷税|漏税|行贿|挪用公款|传销|赌场|贩卖(?:人口|个人信息|儿童)|跟踪前|毁尸灭迹|职场霸凌的|走私|偷猎|非法猎|斗兽|斗狗)"
_HAN_DEFENDS = "进程|线程|端口|害虫|杂草|细菌|杀毒|防范|防止|预防|防护|防御|避免|举报|打击|报警|怎么判|判刑|量刑|处罚|法律|警方|合法|历史|受害|识别|反诈|被骗|维权|恢复|检测|小说"


class IllicitDetector(ContentDetector):
    """Finds requests for crime and harm, and instructions for them: weapons, drugs, break-ins, fraud.

    Security, law and history questions are told apart by their words ("prevent", "legal"), and an
    attacker may use those words too. Does not catch: requests that name no act, steps without the
    question, and what jailbreaks hide.
    """

    def __init__(self) -> None:
        signs = [
            sign("illicit/violent", 0.92, "bomb|explosive|ied|grenade|molotov|nerve|sarin|ricin|mustard|weapon|agent|silencer|ghost gun|napalm|hitman|hit man|assassin|poison|kill|murder|stab|strangle|kidnap|shooting|gun", f"{_HOW}{GAP}{_WEAPON}", _DEFENDS),
            sign("illicit", 0.9, _HOW_NEEDS, f"{_HOW}{GAP}{_CRIME}", _DEFENDS),
            sign("illicit", 0.75, "without getting caught|without being caught|undetected|without detection|get away with|untraceable|without leaving|evading", r"\b(?:without (?:getting|being) (?:caught|detected|noticed)|undetected|without detection|get away with|untraceable|without leaving (?:a |any )?(?:trace|evidence)|while evading)\b", r"\b(?:cancer|disease|virus|tumou?r|bug|error|infection)\b"),
            sign("illicit/violent", 0.92, "炸|燃烧|手雷|雷管|毒|沙林|战剂|武器|枪|消音|杀|勒死|绑架|弄死|迷", f"{_HAN_HOW}{HAN_GAP}{_HAN_WEAPON}|{_HAN_WEAPON}{HAN_GAP}(?:的)?(?:步骤|方法|教程|策略|指南)", _HAN_DEFENDS),
            sign("illicit", 0.9, "毒|大麻|摇头丸|芬太尼|破解|入侵|黑进|盗|窃|病毒|木马|勒索|钓鱼|外挂|键盘|洗钱|伪造|假|偷|撬|敲诈|绕过|诈骗|骗|税|贿|公款|传销|赌|贩卖|跟踪|毁尸|霸凌|走私|猎|斗", f"{_HAN_HOW}{HAN_GAP}{_HAN_CRIME}|{_HAN_CRIME}{HAN_GAP}(?:的)?(?:步骤|方法|教程|策略|指南)", _HAN_DEFENDS),
            sign("illicit", 0.75, "不被发现|不被抓|不留痕迹|逃避追踪|不引起怀疑|看起来像", "(?:不被|而不被|才不会被)(?:人)?(?:发现|抓|察觉)|不留痕迹|逃避追踪|不引起怀疑|看起来像(?:一场)?意外", "病|癌|肿瘤|漏洞|自残|自我伤害"),
        ]  # fmt: skip
        super().__init__(
            "illicit",
            ("illicit", "illicit/violent"),
            signs,
            {"illicit": ("illicit",), "illicit/violent": ("illicit", "violence")},
        )
