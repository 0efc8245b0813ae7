"""The ``mingce.toml`` that `init` writes for each party: every line a person may want to change, explained."""

from __future__ import annotations

import json
from collections.abc import Sequence

_KEYS = """\
[keys]
# 密钥加密密钥在哪里 where the key-encryption key is: file:PATH, env:NAME, passphrase
kek = "file:secrets/kek"
"""

_SERVE = """\
[serve]
# 只监听本机，由本机的反向代理（nginx）终结 TLS：见 docs/how-to/reverse-proxy.md
# listens on this machine only; a reverse proxy ends TLS: docs/how-to/reverse-proxy.md
host = "127.0.0.1"
port = 8443
workers = 2
# behind_proxy = true
# 小规模时可不用代理，自己终结 TLS 1.3 without a proxy, TLS 1.3 by itself:
# tls_cert = "tls/server.crt"
# tls_key = "tls/server.key"
# client_ca = "tls/clients.crt"
"""


def province(name: str, dataset: str) -> str:
    return f"""\
# 名册：省财政厅一侧的配置。 The province's configuration.
party = "province"
name = "{name}"

{_KEYS}
[dataset.{dataset}]
title = "基础名单库"
# 每晚 refresh 读取的名单 the list that the nightly refresh reads (CSV, XLSX, Parquet)
source = "基础名单.csv"
# 同一证件号码出现两次时保留哪一行 which row of an ID number that stands twice is kept: first, last
duplicates = "last"
# 名单减少超过这一比例时停下等人确认 a refresh stops when more than this share of the rows is gone
shrink_limit = 0.2
# 与上一全量版相比变化不超过这一比例时只发布增量 up to this share changed since the last full edition makes a delta
delta_limit = 0.1
# 保留最近多少版，可回退 how many editions are kept and can be rolled back to
keep_editions = 30
# 列名不同时在此对应 other headings, for example:
# columns = {{ number = "身份证号", household_no = "户编号" }}

[dataset.{dataset}.rotation]
# 密钥轮换（mingce keys plan / apply），单位为天 how epochs follow one another, in days: docs/how-to/rotate-an-epoch.md
period_days = 365
create_days = 60
overlap_days = 30
retain_days = 90
# 密钥销毁后，已发布的文件 remove 或 keep what becomes of a destroyed epoch's published files
public_editions = "remove"

{_SERVE}"""


def department(name: str, section: str) -> str:
    """``section`` is that of its first dataset."""
    return f"""\
# 名册：部门一侧的配置。 A department's configuration.
party = "department"
name = {_quoted(name)}

{_KEYS}
{_SERVE}
{section}"""


def dataset(name: str, title: str, label: str, division: str | None, source: str) -> str:
    """One more list of a sender."""
    where = f'division = "{division}"' if division else '# division = "330922"'
    return f"""\
[dataset.{_key(name)}]
title = {_quoted(title)}
# 标签结构：每行有什么、可授权给谁 what a row holds and for whom it is: docs/reference/datasets.md
label = {_quoted(label)}
# 名单没有“行政区划”列时，全部属于这个县（市、区） the county of all rows, if the list has no such column
{where}
# 每晚 refresh 读取的名单 the list that the nightly refresh reads (CSV, XLSX, Parquet)
source = {_quoted(source or f"{title}.csv")}
duplicates = "last"
shrink_limit = 0.2
# 列名不同时在此对应 other headings, for example:
# columns = {{ number = "身份证号" }}
"""


def department_link(name: str, url: str, identity: str, dataset: str, label: str) -> str:
    """A department that a bureau checks households against."""
    return f"""\
[department.{_key(name)}]
url = {_quoted(url)}
# 该部门的身份文件，指纹须电话核对 the department's identity; compare its fingerprint by telephone
identity = {_quoted(identity)}
dataset = {_quoted(dataset)}
# 约定的标签结构 the label schema agreed on: docs/reference/datasets.md
label = {_quoted(label)}
# divisions = ["330922"]   # 默认为本局负责的县 else the bureau's own counties
# ca_file = "ca.pem"
"""


def _key(name: str) -> str:
    """A dataset's name as a TOML key: one with a dot would be a table in a table."""
    return _quoted(name) if "." in name else name


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def bank(name: str, url: str, dataset: str, divisions: Sequence[str]) -> str:
    listed = ", ".join(f'"{division}"' for division in divisions)
    return f"""\
# 名册：农商银行一侧的配置。 The bank's configuration.
party = "bank"
name = "{name}"

[keys]
kek = "file:secrets/kek"

[province]
url = "{url}"
# 省财政厅的身份文件，指纹须电话核对 the province's identity; compare its fingerprint by telephone
identity = "province.identity.json"
# ca_file = "ca.pem"
# 客户端证书 this bank's client certificate, if the province asks for one
# client_cert = "tls/client.crt"
# client_key = "tls/client.key"
# proxy = "http://10.0.0.1:3128"

[match]
dataset = "{dataset}"
# 在哪些县（市、区）的名单里查 the counties whose lists are searched, six digits each
divisions = [{listed}]
duplicates = "last"
purpose = "扩中家庭名单匹配"
legal_basis = "个人信息保护法第十三条；客户单独同意"
# 拒用早于这么多天的版本 an edition older than this is refused
max_age_days = 30
# 保留最近多少次匹配的明细 screening records of how many runs are kept
keep_runs = 7
# columns = {{ number = "身份证号", name = "姓名" }}

[handover]
# 县财政局的身份文件 the bureau's identity
bureau = "bureau.identity.json"
"""


def bureau(name: str, divisions: Sequence[str]) -> str:
    listed = ", ".join(f'"{division}"' for division in divisions)
    return f"""\
# 名册：县财政局一侧的配置。 The finance bureau's configuration.
party = "bureau"
name = "{name}"
# 本局负责的县（市、区） the counties in its care, six digits each
divisions = [{listed}]

[keys]
kek = "file:secrets/kek"

[serve]
# 办理业务的接口，只监听本机；对外须经反向代理
# the endpoint for the console and the tablets: docs/reference/bureau-api.md
host = "127.0.0.1"
port = 8444

[retention]
# 保存期限（天），到期由 mingce bureau purge 清除；均为假定值，启用前确认：docs/reference/personal-data.md
# for how many days what is kept; no source states these, so settle them before use
not_admitted = 365
ended = 3650
answers = 730
places = 180
refused_rows = 180
sign_ins = 180

[loan_file]
# 银行贷款日报的列名不同时在此对应 other headings of the banks' daily loan files: docs/reference/loan-file.md
# columns = {{ contract_no = "借据号", manager = ["客户经理", "管户经理"] }}

# 报表上的乡镇（街道）名称，按 9 位代码 townships' names on reports, by nine digits: docs/reference/reports.md
# [townships]
# {divisions[0] if divisions else "330922"}100 = "某某镇"
"""
