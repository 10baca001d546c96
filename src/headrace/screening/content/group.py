"""Words for groups of people, as patterns: what hate and stereotypes are about."""

__all__ = ["GROUP", "GROUP_NEEDS", "HAN_GROUP", "HAN_GROUP_NEEDS"]

GROUP = (
    r"\b(?:jews?|jewish(?: people)?|muslims?|christians?|hindus?|arabs?|africans?|asians?|mexicans?|latin[oa]s?"
    r"|hispanics?|chinese|japanese|indians?|pakistanis|russians|ukrainians|americans|europeans|turks|poles|irish|italians|germans"
    r"|(?:black|white|brown|native|indigenous|trans|transgender|gay|queer|disabled|deaf|blind|autistic|old|poor|fat|elderly)"
    r" (?:people|men|women|folks?|guys|girls|boys|kids)|blacks|whites|immigrants|migrants|refugees|foreigners|gypsies|roma"
    r"|gays|lesbians|homosexuals|women|men|females|males|girls|boys|blondes|boomers|seniors|the (?:poor|elderly|disabled|homeless))\b"
)
GROUP_NEEDS = (
    "jew|muslim|christian|hindu|arab|african|asian|mexican|latin|hispanic|chinese|japanese|indian|pakistani|russian|ukrainian"
    "|american|european|turks|poles|irish|italian|german|black|white|brown|native|indigenous|trans|gay|queer|disabled|deaf|blind"
    "|autistic|old|poor|fat|elderly|migrant|refugee|foreigner|gypsies|roma|lesbian|homosexual|men|male|girls|boys|blonde"
    "|boomers|seniors|homeless"
)
HAN_GROUP = (
    r"(?:犹太人|穆斯林|回民|基督徒|黑人|白人|亚洲人|非洲人|墨西哥人|拉丁裔|阿拉伯人|印度人|日本人|韩国人|中国人|美国人|俄罗斯人|外国人|老外"
    r"|移民|难民|同性恋者?|双性恋|变性人|跨性别者?|残疾人|残障人士|聋哑人|盲人|自闭症(?:患者|儿童)?|智障(?:人士|者)?|女人|女性|女生|女孩|女司机|妇女"
    r"|男人|男性|男生|老年人|老人|老头|老太太|穷人|农民工?|农村人|乡下人|外地人|河南人|东北人|上海人|北京人|广东人|四川人|新疆人|藏族人?|维吾尔族?人?|少数民族)"
)
HAN_GROUP_NEEDS = "人|穆斯林|回民|基督徒|拉丁裔|老外|移民|难民|同性恋|双性恋|跨性别|自闭症|智障|女|男|老头|老太太|农民|藏族|维吾尔|少数民族"
