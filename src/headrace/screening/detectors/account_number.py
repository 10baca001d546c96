"""Numbers of bank accounts and customers that are no IBANs."""

from headrace.screening.detectors.card import passes_luhn
from headrace.screening.detectors.named_number import NamedNumberDetector, Shape, cue, standard

__all__ = ["AccountNumberDetector"]

_ACCOUNT = cue(
    r"(?:bank |checking |savings |current |deposit |customer |loan )?(?:account|acct)\.?(?: number| no| num| #)|a/c(?: number| no)?",
    r"(?:bank|checking|savings) (?:account|acct)|acct|account#?|customer (?:number|no|id)|kontonummer",
    "银行账[号户]|银行帐[号户]|账号|帐号|账户|帐户|银行卡号?|卡号|客户号|储蓄卡|收款账[号户]",
)
_ROUTING = cue(r"(?:aba|routing)(?: transit)?(?: number| no| #)?|rtn", "联行号|清算号")
_SORT = cue(r"sort ?code", "银行代码")
_BSB = cue("bsb")


def _is_no_card(number: str) -> bool:
    """Cards are the card detector's."""
    digits = "".join(filter(str.isdigit, number))
    return not (len(digits) >= 15 and passes_luhn(digits))


class AccountNumberDetector(NamedNumberDetector):
    """Finds account numbers behind a word that names them, US routing numbers with their check
    digit, British sort codes and Australian BSBs.

    Does not catch: accounts named only by their bank, user names, numbers of five digits or less.
    """

    def __init__(self) -> None:
        kind = "account_number"
        shapes = [
            Shape.of(
                kind,
                r"[A-Z]{0,4}[0-9]{6,20}|[0-9]{2,8}(?:[ \-][0-9]{2,8}){1,5}",
                _ACCOUNT,
                _is_no_card,
            ),
            Shape.of(kind, r"[0-9]{9}", _ROUTING, standard("us.rtn")),
            Shape.of(kind, r"[0-9]{2}[ \-]?[0-9]{2}[ \-]?[0-9]{2}", _SORT),
            Shape.of(kind, r"[0-9]{3}[ \-]?[0-9]{3}", _BSB),
        ]
        super().__init__("account_number", shapes, ("en", "zh"))
