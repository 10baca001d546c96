"""Medical advice: questions about one's health, and answers that tell what to take or do."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["MedicalAdviceDetector"]


class MedicalAdviceDetector(ContentDetector):
    """Finds talk of illness, medicines and treatment, for policies that want a disclaimer behind it.

    Does not tell good advice from bad. Does not catch: health questions without a medical word.
    """

    def __init__(self) -> None:
        kind = "medical_advice"
        signs = [
            sign(kind, 0.8, "take|dose|dosage|mg|medication|prescri|tablets|pills|twice a day", rf"\b(?:take|taking|dose|dosage|prescribed?)\b{GAP}\b(?:\d+ ?mg|ibuprofen|aspirin|paracetamol|acetaminophen|antibiotics?|insulin|metformin|statins?|medications?|medicines?|tablets?|twice (?:a day|daily)|painkillers?)\b"),
            sign(kind, 0.75, "symptom|diagnos|treat|my doctor|side effect", r"\b(?:symptoms? of|diagnos(?:ed|is)|treatment (?:for|of)|side effects? of|how (?:is|do you) treat|what medicine)\b"),
            sign(kind, 0.8, "服用|吃药|剂量|毫克|处方|用药|药", f"(?:服用|吃|用药|注射|口服){HAN_GAP}(?:药|阿莫西林|布洛芬|阿司匹林|二甲双胍|头孢|胰岛素|抗生素|毫克|片|粒)|(?:每天|每日|一天){HAN_GAP}(?:服用|吃)[^。！？\n]{{0,4}}?[次片粒]"),
            sign(kind, 0.75, "症状|诊断|治疗|副作用|病情|看医生|去医院", f"(?:症状|诊断|治疗|副作用|病因|并发症){HAN_GAP}(?:是什么|有哪些|怎么|如何|方法|方案|效果|是)|(?:怎么|如何|怎样)治(?:疗|好)?"),
        ]  # fmt: skip
        super().__init__("medical_advice", (kind,), signs, {kind: ("medical_advice",)})
