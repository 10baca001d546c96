"""Legal advice: questions about one's rights, and answers that tell them."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["LegalAdviceDetector"]


class LegalAdviceDetector(ContentDetector):
    """Finds talk of suing, contracts, rights and penalties, for policies that want a disclaimer.

    Does not tell good advice from bad, nor one country's law from another's.
    """

    def __init__(self) -> None:
        kind = "legal_advice"
        signs = [
            sign(kind, 0.8, "sue|legal|lawyer|court|liable|damages|contract|custody|will", rf"\b(?:can|could|should|may) (?:i|we|you|they)\b{GAP}\b(?:sue|press charges|file a (?:lawsuit|claim)|take (?:them|him|her|it) to court|contest|appeal|terminate the contract|claim (?:damages|compensation))\b|\b(?:legally (?:binding|required|obliged|valid)|my legal rights|is it (?:legal|illegal|against the law) to|you (?:are entitled to|have the right to|may be liable)|statute of limitations)\b"),
            sign(kind, 0.8, "起诉|律师|法律|仲裁|赔偿|合同|抚养权|遗嘱|判|违约|诉讼|告他|劳动法|刑法|民法", f"(?:怎么|如何|能不能|可以|能|是否|应该){HAN_GAP}(?:起诉|告他|申请仲裁|劳动仲裁|索赔|要求{HAN_GAP}赔偿|解除合同|上诉)|(?:会|要|被)判(?:几|多少|刑)|抚养权归|法律(?:效力|责任|后果|风险)|(?:有权|依法|根据[^。！？\n]{{0,12}}?法)"),
        ]  # fmt: skip
        super().__init__("legal_advice", (kind,), signs, {kind: ("legal_advice",)})
