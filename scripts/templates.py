"""The ``mingce.toml`` that `init` writes for each party: every line a person may want to change, explained."""

from __future__ import annotations

from collections.abc import Sequence


def province(name: str, dataset: str) -> str:
    return f"""\
# 名册：省财政厅一侧的配置。 The province's configuration.
party = "province"
name = "{name}"

[keys]
# 密钥加密密钥在哪里 where the key-encryption key is: file:PATH, env:NAME, passphrase
kek = "file:secrets/kek"

[dataset.{dataset}]
title = "基础名单库"
# 每晚 refresh 读取的名单 the list that the nightly refresh reads (CSV, XLSX, Parquet)
source = "基础名单.csv"
# 同一证件号码出现两次时保留哪一行 which row of an ID number that stands twice is kept: first, last
duplicates = "last"
# 名单减少超过这一比例时停下等人确认 a refresh stops when more than this share of the rows is gone
shrink_limit = 0.2
# 列名不同时在此对应 other headings, for example:
# columns = {{ item = "身份证号", household_no = "户编号" }}

[serve]
host = "127.0.0.1"
port = 8443
workers = 2
"""


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
# proxy = "http://10.0.0.1:3128"

[match]
dataset = "{dataset}"
# 在哪些县（市、区）的名单里查 the counties whose lists are searched, six digits each
divisions = [{listed}]
duplicates = "last"
purpose = "扩中家庭名单匹配"
legal_basis = "个人信息保护法第十三条；客户单独同意"
# columns = {{ item = "身份证号", name = "姓名" }}

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
"""
