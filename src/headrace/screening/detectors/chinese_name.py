"""Names of persons in Chinese characters."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["ChineseNameDetector"]

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑谢罗梁宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
    "常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝官封谈匡鞠惠荆乐冀胥南班储原栗燕楚鄢劳谌奚皮粟冼蔺楼盘满闻位厉伊仝区郜海阚花权强帅屠豆朴盖练廉禹井祖漆巴丰支卿国狄平计索宣晋相初门云容敬来扈晁芮都普阙浦戈伏鹿薄邸雍辜羊阿乌母裘亓修邰赫杭况那宿鲜印逯隆茹诺战慕危玉银亢嵇公哈湛宾戎勾茅利於呼居揭干但尉冶斯元束檀衣信展阴昝智幸奉植衡富尧闭由"
)
_STRONG = frozenset(_SURNAMES[:220]) - frozenset(
    "万方白石金文安成时于任常向武田龙高马何林路应和全海明包关温康毛江夏黄华"
)
_CLEAR = frozenset(
    "王李张刘陈杨赵吴徐孙朱郭郑谢罗梁宋唐许韩冯邓曹彭曾肖董袁潘蒋蔡杜苏魏吕丁沈姚卢崔钟谭陆汪廖贾邹熊薛闫侯黎贺顾郝龚邵"
)
_COMPOUND = (
    "欧阳",
    "上官",
    "司马",
    "诸葛",
    "东方",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "令狐",
    "司徒",
    "长孙",
    "宇文",
    "夏侯",
    "端木",
    "南宫",
    "独孤",
)
_GIVEN = frozenset(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅鹏辉宇浩轩子涵欣怡梓萱雨桐晨曦思博文雅婷雪琳倩颖慧佳嘉俊凯健波斌宁飞鑫建国志峰海林燕玲萍莉凤洁琴云莲真环荣爱妹香月莺媛瑞凡青松柏岩龙虎"
    "天然诗语若曼琪瑶瑾璇珊珍珠茜菲蕾薇莹莎荷蓉蓓蕊芬芝芸苗茹心忆念恩惠悦恒怀悠意愿成才承扬振挺捷文斯新旭昊昌昕春晓晖智朝朋朗木本杉权材来柔柳楠楚欢正毅民永江汉沁泉泽洪润淑清源溪滨澜炎炜烨焕煜熙燕"
    "牧玄玥玮珂珺琛琦琰琼瑜璐甜生男白皓盛益真睿碧祖祥福禾秋科立竹笑筠精素红纯绍维美群翔翠耀聪胜舒良艺苑荣莎菁萌蓝衡裕西言诚谦豪贝贤赫超越路轶达远迪逸邦郁金钧铭锋锐锦长阳雄雯霖露青静韵顺颜飒馨骏骞魁鸣鸿麒黎"
    "一乐书予亦人仁代仪佑伊作依倚元光兴典冉冠冬凌利力加勋勤化南卓卿双可史吉君启周和哲唯善喜坤城培奇奕好如妍妙姗姝威娇婉子存孝宁安宏定宜宝家容宸富寒寅小尧展山岚岳川州巍帆帅年广庆康廷弘彤彦彬影征徐得德忠恺"
    "生之义以世中东为业丰丹亚亮仲任会伦传佩侠信修保倍儒先景晶普晴曙有望朵根桥森椿楷榕樱歌武水沛沙河治法泰洲浦涌淳渊湘满"
)  # fmt: skip
_BEFORE = frozenset(
    "的和与给向由请让对跟找问了在是被把叫为及、见据经将我你他她而但因当由如同到于给名"
)
_AFTER = frozenset(
    "的是在和与说去来了先女老同等向对把被让给将已也就都从，。、；：？！）」有要想会能又曾于今并及教医经主律住打发写称表认觉负出因很正还没不"
)
_TITLE = re.compile(
    r"先生|女士|小姐|老师|教授|医生|经理|博士|同学|主任|律师|院士|总裁|董事|书记|校长|护士|同志|师傅"
)
_SAYS = re.compile(
    r"(?:姓名|名字|我叫|名叫|叫做|[她他]叫|联系人|收件人|收货人|寄件人|患者|病人|客户|乘客|旅客|员工|学生|户名|法人|户主|申请人|持卡人|开户人|收款人|付款人|签名|本人|作者|记者|导演|演员|医生|律师|同事|朋友|同学"
    r"|丈夫|妻子|儿子|女儿|老师|教授|经理|先生|女士|嘉宾|主任|校长|总裁|被告|原告|证人|监护人|负责人|代表)(?:是|为|叫)?[:：\s“「（(]{0,2}\Z"
)
_WORDS = frozenset(
    [
        "高兴",
        "王国",
        "王朝",
        "张力",
        "张开",
        "陈旧",
        "陈年",
        "杨柳",
        "杨梅",
        "吴江",
        "徐徐",
        "孙子",
        "罗马",
        "罗兰",
        "宋体",
        "宋词",
        "唐诗",
        "许愿",
        "韩文",
        "韩国",
        "曾用",
        "曾在",
        "蒋介",
        "苏联",
        "苏打",
        "丁酉",
        "汪洋",
        "钟表",
        "谢意",
        "刘海",
        "张家",
        "李子",
        "李树",
        "梁山",
        "陆军",
        "朱红",
        "曾为",
        "姚明珠",
        "马上",
        "方法",
        "周末",
        "黄金",
        "金融",
        "文化",
        "明天",
        "安全",
        "华为",
        "云南",
        "江南",
        "平安",
        "常见",
        "成功",
        "全国",
        "向上",
        "时代",
        "国家",
        "强大",
        "和平",
        "都市",
        "路由",
        "关于",
        "由于",
        "于是",
        "任何",
        "任务",
        "周年",
        "周围",
        "周期",
        "周边",
        "程序",
        "程度",
        "江苏",
        "江西",
        "黄河",
        "黄山",
        "张开",
        "张家口",
        "石家庄",
        "马克思",
        "高中",
        "高等",
        "高度",
        "高速",
        "高校",
        "高科技",
        "白天",
        "白色",
        "方向",
        "方便",
        "方面",
        "方案",
        "万一",
        "万人",
        "金额",
        "金属",
        "史书",
        "史上",
        "夏天",
        "夏季",
        "秋天",
        "陈述",
        "陈列",
        "许多",
        "许可",
        "曾经",
        "温度",
        "温和",
        "康复",
        "施工",
        "文学",
        "文明",
        "文章",
        "文件",
        "文本",
        "常用",
        "武汉",
        "武器",
        "田野",
        "林业",
        "森林",
        "谢谢",
        "何时",
        "何人",
        "何处",
        "龙头",
        "牛奶",
        "毛病",
        "路上",
        "包括",
        "包含",
        "包子",
        "关系",
        "关键",
        "关心",
        "解决",
        "解释",
        "应该",
        "应用",
        "时间",
        "时候",
        "连接",
        "管理",
        "查看",
        "单位",
        "单元",
        "成为",
        "成年",
        "商业",
        "商品",
        "季节",
        "季度",
        "金山",
        "海洋",
        "海南",
        "印度",
        "原因",
        "相关",
        "相信",
        "来自",
        "平台",
        "利用",
        "国际",
        "盛大",
        "严重",
        "严格",
        "钟头",
        "童年",
        "章节",
        "符合",
        "顾客",
        "计算",
        "计划",
        "左右",
        "段落",
        "宁波",
        "宁夏",
        "莫名",
        "梅花",
        "马来",
        "罗马",
        "唐代",
        "宋代",
        "宋朝",
        "唐朝",
        "秦朝",
        "齐全",
        "易于",
        "苏州",
        "杭州",
        "徐州",
        "郑州",
        "广州",
        "贵州",
        "程式",
        "余额",
        "余下",
        "丁香",
        "任意",
        "陆地",
        "陆续",
        "石油",
        "石头",
        "江河",
        "曲线",
        "游戏",
        "路线",
        "游客",
        "古代",
        "古人",
        "成本",
        "成果",
        "成员",
        "成立",
        "明确",
        "明显",
        "强调",
        "信息",
        "元素",
        "富有",
        "阳光",
        "智能",
        "智慧",
        "容易",
        "公司",
        "公里",
        "公园",
        "公共",
        "平均",
        "平时",
        "满意",
        "巴西",
        "巴黎",
        "伊朗",
        "普通",
        "花园",
        "花朵",
        "海峡",
        "区域",
        "农业",
        "农村",
        "农民",
        "司机",
        "车站",
        "项目",
        "简单",
        "简洁",
        "冷静",
        "米饭",
        "师傅",
        "明年",
        "全部",
        "南京",
        "南方",
        "班级",
        "楼房",
        "宾馆",
    ]
)
_HEAD = re.compile(f"{'|'.join(_COMPOUND)}|[{_SURNAMES}]")
_FIRSTS = frozenset(_SURNAMES) | frozenset(each[0] for each in _COMPOUND)
_WINDOW = 8
_REACH = 12


class ChineseNameDetector:
    """Finds a surname with one or two signs that given names are made of.

    Behind words such as "姓名" or "联系人" (score 1), before a title such as "先生" (0.9), or three
    signs that stand where a person may (0.7), two of them behind a frequent surname (0.6). Does not catch: surnames alone (王先生), rare signs, transcribed foreign names.
    """

    name = "chinese_name"
    kinds = ("person_name",)
    languages = ("zh",)
    cost_us = 9
    window = _WINDOW

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if text.isascii():
            return
        floor = start
        for head in _HEAD.finditer(text, start):
            begin = head.start()
            if begin < floor:
                continue
            end, score = _name_end(text, begin)
            if end:
                yield Span("person_name", begin, end, score)
                floor = end

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not text or not _is_han(text[-1]):
            return size
        for at in range(max(start, size - _WINDOW), size):
            if text[at] in _FIRSTS and all(map(_is_han, text[at:])):
                return at
        return size


def _name_end(text: str, begin: int) -> tuple[int, float]:
    """Where the name that begins here ends, and how sure that is; 0 for none."""
    compound = text[begin : begin + 2] in _COMPOUND
    at = begin + (2 if compound else 1)
    before = text[max(0, begin - _REACH) : begin]
    said = _SAYS.search(before) is not None
    for size in (2, 1):
        end = at + size
        given = text[at:end]
        if (
            len(given) < size
            or not all(map(_is_han, given))
            or _TITLE.match(given)
            or _is_word(text, begin, end)
        ):
            continue
        after = text[end : end + 1]
        ends = not after or not _is_han(after) or after in _AFTER
        titled = _TITLE.match(text, end) is not None
        likely = all(char in _GIVEN for char in given)
        if said and (titled or (ends and (likely or size == 2 or not _AFTER.isdisjoint(after)))):
            return end, 1.0
        if titled and likely:
            return end, 0.9
        if (
            size == 2
            and likely
            and ends
            and _stands_free(before)
            and (compound or text[begin] in _STRONG)
        ):
            return end, 0.7
        if size == 1 and likely and ends and text[begin] in _CLEAR and _stands_free(before):
            return end, 0.6
    return 0, 0.0


def _is_word(text: str, begin: int, end: int) -> bool:
    return text[begin:end] in _WORDS or text[begin : begin + 2] in _WORDS


def _stands_free(before: str) -> bool:
    return (
        not before
        or not _is_han(before[-1])
        or before[-1] in _BEFORE
        or _TITLE.search(before[-2:]) is not None
    )


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff"
