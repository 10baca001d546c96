"""Financial advice: questions about one's money, and answers that tell what to buy or sell."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["FinancialAdviceDetector"]


class FinancialAdviceDetector(ContentDetector):
    """Finds talk of investing, loans and taxes, for policies that want a disclaimer behind it.

    Does not tell good advice from bad. Prices and news of companies are found now and then.
    """

    def __init__(self) -> None:
        kind = "financial_advice"
        signs = [
            sign(kind, 0.8, "invest|stock|bitcoin|crypto|fund|bond|shares|portfolio|mortgage|pension|401k", rf"\b(?:should|buy|sell|invest\w*|put|recommend|worth)\b{GAP}\b(?:stocks?|shares|bitcoins?|crypto\w*|(?:index|mutual) funds?|etfs?|bonds|gold|portfolio|real estate|401k|pension|savings)\b|\b(?:return on investment|compound interest|refinance|pay off my (?:mortgage|loan|debt))\b"),
            sign(kind, 0.8, "股票|基金|比特币|黄金|国债|理财|投资|买入|卖出|房贷|收益|加仓|养老金", f"(?:买|卖|投资|投|持有|买入|卖出|加仓|定投|配置|推荐){HAN_GAP}(?:股票|基金|比特币|加密货币|黄金|国债|债券|理财|这只股|哪只)|(?:怎么|如何|应该怎样){HAN_GAP}(?:理财|投资|炒股)|年化?收益|(?:还会|会不会)涨"),
        ]  # fmt: skip
        super().__init__("financial_advice", (kind,), signs, {kind: ("financial_advice",)})
