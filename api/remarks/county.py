"""Remarks of the bureau: hand-overs, households, reviews, visits, loans, claims and the console."""

from __future__ import annotations

from collections.abc import Mapping

COUNTY: Mapping[str, str] = {
    # hand-overs
    "not a hand-over of version 1": "不是第 1 版的移交文件",
    "the file is larger than any hand-over": "文件比任何移交文件都大",
    "the file cannot be written: {}": "文件无法写入：{0}",
    "the file cannot be read: {}": "文件读不了：{0}",
    "the header is not that of a hand-over: {}": "文件头不是移交文件的（{0}）",
    "the header is not that of a hand-over: {}: {}": "文件头不是移交文件的（{0}：{1}）",
    "the header names another bank or bureau": "文件头写的是另一家银行或财政局",
    "the rows are not those that the header's hash names": "数据行与文件头的摘要不符",
    "the number of rows is not the header's": "行数与文件头不符",
    "the rows cannot be read: {}": "数据行读不了（{0}）",
    "a row has an empty cell": "有行含空单元格",
    "a row's fields are no label: {}": "有行的字段不成标签：{0}",
    # parties and the county
    "not the identity of a bank": "不是银行的身份",
    "receipt keys of divisions that are not ours": "含有不属于本局的区划的凭据密钥",
    "more than {} rows of answers": "答复超过 {0} 行",
    "settlement months are 1 to 12, the day 1 to 28": "结算月份须为 1 至 12，日须为 1 至 28",
    # households and reviews
    "the township is not in the county": "该乡镇不在这个县",
    "not reason codes": "有不认识的原因代码",
    "a household goes in or out": "家庭只能转为纳入或排除",
    "a member needs a name": "家庭成员须有姓名",
    "a day to come": "日期还没有到",
    "not the place of a page": "翻页位置不对",
    "no such field": "没有这一栏",
    # visits
    "no such outcome of a visit": "没有这种走访结果",
    "no such bank": "没有这家银行",
    "no such kind of image": "没有这种图片",
    "not 8 to 64 letters, digits, - or _": "须为 8 至 64 个字母、数字、- 或 _",
    "another form came under this device key": "该编号已用于另一份采集表",
    # loans, subsidies and claims
    "an amount is above nothing": "金额须大于零，且不超过上限",
    "not a normalised ID number": "不是规范的证件号码",
    "1 to 40 letters, digits and -_./#()": "须为 1 至 40 个字母、数字或 -_./#()",
    "an ID number is no number of a contract or an entry": "证件号码不能用作合同编号或流水号",
    "percent a year, 0 to {}, at most {} places": "年利率须为 0 至 {0}（%），至多 {1} 位小数",
    "{} is a decimal from 0 to {}": "{0} 须为 0 至 {1} 的小数",
    "the day basis is 360 or 365": "计息天数只能是 360 或 365",
    "balance times days is not negative": "积数不能为负",
    "a sample has at least one line": "抽样至少一行",
    "the line has a finding already": "该行已有抽查结论",
    "interest is accrued for days that are over": "只能计算已过日期的利息",
    # the console's pages
    "no such page": "没有这个页面",
    "not readable": "有一栏无法识别",
    "not as the form wants it": "有一栏不合要求",
}
