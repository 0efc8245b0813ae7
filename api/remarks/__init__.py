"""The English remark of an error (``MingceError.detail``) in Chinese, for the sentences of api.words that show it.

The errors carry English, which engineers, logs and other programs read; a person who works in Chinese gets it in
Chinese. An entry's key is the remark as the source writes it, with ``{}`` for each value in it; ``{0}``, ``{1}`` …
in the Chinese are these values in their order. A test holds the entries against the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.remarks.asking import ASKING
from api.remarks.county import COUNTY
from api.remarks.documents import DOCUMENTS
from api.remarks.keeping import KEEPING
from api.remarks.kernel import KERNEL
from api.remarks.sending import SENDING
from api.remarks.system import SYSTEM

PARTS: tuple[Mapping[str, str], ...] = (DOCUMENTS, KEEPING, SENDING, ASKING, COUNTY, KERNEL)
REMARKS: Mapping[str, str] = {remark: chinese for part in PARTS for remark, chinese in part.items()}
_NAMES = {  # of what a remark is about, where that is a value of it
    "dataset": "名单名称",
    "epoch": "密钥期名称",
    "department": "部门代号",
    "purpose": "目的",
    "legal_basis": "依据",
    "agreement_no": "协议编号",
}
_KNOWN = {**REMARKS, **SYSTEM, **_NAMES}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def in_chinese(remark: str) -> str:
    """The remark in Chinese. One that is not ours, of the system or a library, stands in quotes as it is."""
    known = _known(remark)
    if known is not None or not remark or _CHINESE.search(remark):
        return known or remark
    return f"系统信息“{remark}”"


def _known(remark: str) -> str | None:
    if remark in _KNOWN:
        return _KNOWN[remark]
    for pattern, chinese in _TEMPLATES:
        if found := pattern.fullmatch(remark):
            return chinese.format(*(_known(value) or value for value in found.groups()))
    return None


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in template.split("{}")), re.DOTALL)


# Those that say most come first, since "not {}" would take many another's place.
_TEMPLATES = [
    (_pattern(template), _KNOWN[template])
    for template in sorted((remark for remark in _KNOWN if "{}" in remark), key=len, reverse=True)
]
