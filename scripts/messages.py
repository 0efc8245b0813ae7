"""Every error code in words: what happened and what to do next, Chinese first. A test holds this against the code.

``{name}`` stands for one of the error's params, or for ``detail``, its English remark.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from keys.files import Locked
from psi.errors import InputError, MingceError, VerificationError
from scripts.language import say


class Message(NamedTuple):
    zh: str
    en: str
    next_zh: str = ""
    next_en: str = ""


class Refused(InputError):
    """Something a command was asked to do cannot be done; the sentence is already in the user's language."""

    code = "refused"

    def __init__(self, zh: str, en: str, **params: object) -> None:
        super().__init__(en, **params)
        self.sentence = say(zh, en)


_ALARM = ("已记警报；不要继续，请电话联系对方核对。", "An alarm is recorded. Do not go on; call the other side.")
_ASK_PROVINCE = ("请联系省财政厅。", "Ask the province.")
_RESTORE = ("请从备份恢复该文件，不要继续使用。", "Restore the file from a backup; do not go on with it.")
_SEND_AGAIN = ("请对方重新生成并发送该文件。", "Ask the sender to make the file again.")
_RUN_AGAIN = ("稍后再运行一次，会从断点继续。", "Run it again later; it goes on where it was.")
_REPORT = ("请把本信息和版本号发给维护人员。", "Report this message and the version to the maintainers.")

MESSAGES: dict[str, Message] = {
    # input
    "bad_input": Message("输入不可用：{detail}", "The input cannot be used: {detail}"),
    "settings_invalid": Message("配置文件 {file} 有误：{field} {reason}", "Configuration {file}: {field} {reason}",
                                "请改正后再运行；若还没有配置，先运行 init。", "Correct it; if there is none yet, run init first."),
    "table_empty": Message("表格里没有数据", "The table holds no data", "请确认导出的文件。", "Check the exported file."),
    "table_damaged": Message("表格损坏或不是所称的格式：{detail}", "The table is damaged or not of its format: {detail}",
                             "请重新导出。", "Export it again."),
    "table_too_large": Message("表格过大：{detail}", "The table is too large: {detail}", "请拆分，或改用 Parquet。", "Split it, or use Parquet."),
    "format_unknown": Message("不认识的文件格式：{detail}", "Unknown file format: {detail}", "请用 CSV、XLSX 或 Parquet。", "Use CSV, XLSX or Parquet."),
    "encoding_unknown": Message("文字编码无法识别：{detail}", "The text encoding cannot be told: {detail}",
                                "请另存为 UTF-8 或 GB18030 的 CSV。", "Save it as CSV in UTF-8 or GB18030."),
    "header_missing": Message("第一行不是表头", "The first row is not a header row", "请加上表头。", "Add a header row."),
    "column_missing": Message("缺少列 {field}；可用表头：{expected}；文件里有：{found}",
                              "Column {field} is missing; headings it may have: {expected}; found: {found}",
                              "请改表头，或在 mingce.toml 的 columns 里对应。", "Rename the heading, or map it under `columns` in mingce.toml."),
    "column_ambiguous": Message("表头 {header} 出现两次", "The heading {header} stands twice", "请去掉一个。", "Remove one."),
    "column_type": Message("列 {field} 的类型不对：{detail}", "Column {field} has a wrong type: {detail}",
                           "证件号码须为文本。", "ID numbers must be text."),
    "cell_too_long": Message("单元格过长：{detail}", "A cell is too long: {detail}", "请检查引号是否配对。", "Check for an unclosed quote."),
    "field_unknown": Message("columns 中没有 {field} 这个字段；可用：{known}", "`columns` has no field {field}; known: {known}"),
    "reason_unknown": Message("不认识的原因代码：{detail}", "Unknown reason code: {detail}"),
    "batch_size": Message("一批须为 1 至 65,535 个元素", "A batch is 1 to 65,535 elements"),
    "bad_scalar": Message("不是合法的标量编码", "Not a canonical scalar", *_SEND_AGAIN),
    "bad_element": Message("不是合法的群元素编码", "Not a canonical group element", *_SEND_AGAIN),
    "county_unknown": Message("不认识的县：{detail}", "Unknown county: {detail}"),
    # keys
    "identity_missing": Message("还没有身份", "There is no identity yet", "先运行 init。", "Run init first."),
    "identity_exists": Message("已有身份，不会覆盖", "There is an identity already; it is never replaced"),
    "identity_invalid": Message("身份文件不可用：{detail}", "The identity file cannot be used: {detail}", *_SEND_AGAIN),
    "key_unwrap_failed": Message("密钥打不开：密钥加密密钥不对，或文件损坏", "The key does not unwrap: wrong key-encryption key, or damage",
                                 "核对 mingce.toml 的 keys.kek；确认无误则从备份恢复。", "Check keys.kek in mingce.toml; if it is right, restore a backup."),
    "kek_unavailable": Message("取不到密钥加密密钥：{detail}", "The key-encryption key is not available: {detail}",
                               "检查 mingce.toml 的 keys.kek。", "Check keys.kek in mingce.toml."),
    "kek_exposed": Message("密钥文件可被他人读取，拒绝使用：{detail}", "The key file is readable by others and is refused: {detail}",
                           "chmod 600 该文件；若可能已泄露，用 keys rotate-kek 换新。", "chmod 600 it; if it may have leaked, `keys rotate-kek`."),
    "passphrase_too_short": Message("口令太短", "The passphrase is too short"),
    "epoch_exists": Message("该密钥期已存在", "The epoch exists already", "换一个名字。", "Choose another name."),
    "epoch_unknown": Message("没有这个密钥期", "No such epoch", "运行 keys list 查看。", "See `keys list`."),
    "epoch_state": Message("密钥期现在的状态不允许这样做：{detail}", "The epoch's state does not allow this: {detail}", "运行 keys list 查看。", "See `keys list`."),
    "sealed_file_invalid": Message("加密文件损坏或被替换：{detail}", "A sealed file is damaged or replaced: {detail}", *_RESTORE),
    "sealed_data_damaged": Message("库中加密数据损坏：{detail}", "Sealed data in the store are damaged: {detail}", *_RESTORE),
    "seal_invalid": Message("文件打不开：不是给本方的，或已损坏", "The file does not open: it is not for this party, or damaged", *_SEND_AGAIN),
    "receipt_keys_invalid": Message("凭据密钥文件不可用：{detail}", "The receipt keys cannot be used: {detail}", *_ASK_PROVINCE),
    "envelope_invalid": Message("签名文件格式不对：{detail}", "The signed document is malformed: {detail}", *_ALARM),
    "json_invalid": Message("JSON 不合规：{detail}", "Not strict JSON: {detail}", *_SEND_AGAIN),
    "signature_invalid": Message("签名不成立", "The signature does not hold", *_ALARM),
    "untrusted_signer": Message("签名者不是所信任的：应为 {expected}，实为 {found}", "Signed by another than the trusted party: expected {expected}, found {found}", *_ALARM),
    # stores
    "busy": Message("数据库正被占用", "The database is busy", *_RUN_AGAIN),
    "locked": Message("另一个任务正在运行", "Another run is at work", "等它结束。", "Wait for it to end."),
    "database_damaged": Message("数据库 {file} 损坏，已拒绝启动", "Database {file} is damaged; refused to start", *_RESTORE),
    "database_unavailable": Message("数据库无法读写：{detail}", "The database cannot be read or written: {detail}",
                                    "检查磁盘空间和权限。", "Check disk space and permissions."),
    "sqlite_too_old": Message("SQLite {version} 有可能丢数据的缺陷", "SQLite {version} has a defect that can lose data", "重新运行 make 安装。", "Install again with make."),
    "audit_broken": Message("审计链断裂：{detail}", "The audit chain is broken: {detail}", "保留现场，通知审计。", "Keep everything as it is and tell the auditor."),
    "not_found": Message("没有这条记录：{detail}", "No such record: {detail}"),
    "party_conflict": Message("该名称或密钥已登记给别人", "The name or key is registered for someone else", "电话核对指纹。", "Compare fingerprints by telephone."),
    "not_granted": Message("没有授权：{detail}", "Not granted: {detail}", *_ASK_PROVINCE),
    "idempotency_mismatch": Message("同一请求编号对应了不同内容", "One request id stands for two requests", *_REPORT),
    "replayed": Message("请求被重放", "The request was replayed", *_RUN_AGAIN),
    "answer_differs": Message("同一请求得到两种应答，密钥可能被替换", "One request got two answers; the key may have been replaced", *_ALARM),
    "bank_conflict": Message("该名称已登记给另一家银行", "The name belongs to another bank", "电话核对指纹。", "Compare fingerprints by telephone."),
    "bank_untrusted": Message("移交文件由未登记的银行签发（指纹 {found}）", "Signed by a bank that is not registered (fingerprint {found})",
                              "核对指纹后运行 bureau trust。", "Compare the fingerprint, then `bureau trust`."),
    "receipt_key_missing": Message("还没有这些县的凭据密钥", "The receipt keys of these counties are missing",
                                   "向省财政厅索取后运行 bureau import-receipt-keys。", "Get them from the province, then `bureau import-receipt-keys`."),
    "receipt_key_conflict": Message("已存有另一把凭据密钥", "Another receipt key is stored already", *_ALARM),
    "handover_invalid": Message("移交文件不可用：{detail}", "The hand-over cannot be used: {detail}", *_SEND_AGAIN),
    "handover_rows_refused": Message("移交中有行被拒收", "Rows of a hand-over were refused", "运行 bureau status 查看。", "See `bureau status`."),
    "run_not_found": Message("没有这次匹配", "No such run", "运行 bank status 查看。", "See `bank status`."),
    "run_state_invalid": Message("这次匹配的状态不允许：{detail}", "The run's state does not allow this: {detail}"),
    "alarm_not_found": Message("没有这条警报", "No such alarm"),
    "storage_failed": Message("名单分片无法写入：{detail}", "A slice cannot be stored: {detail}", "检查磁盘空间，再运行一次。", "Check disk space, then run again."),
    "edition_unknown": Message("没有接收过这一版", "No such edition was accepted", "运行 bank status 查看。", "See `bank status`."),
    "batch_not_pending": Message("批次已有应答或不存在", "The batch is answered already, or unknown", *_REPORT),
    "customer_not_asked": Message("有客户本期还没有查询结果", "Some customers have no stored answer yet", *_RUN_AGAIN),
    "transcript_mismatch": Message("交换记录与所存摘要不符", "The exchange does not match its digest", *_ALARM),
    # publishing
    "list_shrunk": Message("名单可疑（行数 {rows}，减少比例 {removed_share}，上限 {limit}），未发布",
                           "The list looks wrong ({rows} rows, {removed_share} of them gone, limit {limit}); nothing published",
                           "看过名单确认无误后，加 --accept-shrink 再运行。", "Look at the list; if it is right, run again with --accept-shrink."),
    "nothing_staged": Message("没有可继续的名单：{detail}", "Nothing to go on with: {detail}", "先运行 import、encode。", "Run import, then encode."),
    "edition_not_rising": Message("版本号没有上升", "The edition's number does not rise", *_REPORT),
    "edition_inconsistent": Message("已发布版本的文件与记录不符：{detail}", "Published files and records disagree: {detail}", *_RESTORE),
    # matching
    "province_unavailable": Message("连不上省财政厅服务：{detail}", "The province cannot be reached: {detail}", *_RUN_AGAIN),
    "peer_unavailable": Message("连不上对方：{detail}", "The other side cannot be reached: {detail}", *_RUN_AGAIN),
    "peer_refused": Message("对方拒绝：{detail}", "The other side refused: {detail}"),
    "province_refused": Message("省财政厅服务拒绝（{status} {problem}）", "The province refused ({status} {problem})", *_ASK_PROVINCE),
    "signature_refused": Message("省财政厅不认识本行的签名", "The province does not know this bank's signature",
                                 "确认本行已登记；检查网关是否改写了请求。", "Check that the bank is registered, and that no gateway rewrites requests."),
    "clock_refused": Message("本机时钟与省财政厅相差超过五分钟", "This clock is more than five minutes off", "校准时钟。", "Set the clock."),
    "access_refused": Message("本行没有该名单的授权", "The dataset is not granted to this bank", *_ASK_PROVINCE),
    "budget_exhausted": Message("本期查询额度不足，未扣减", "The budget of this epoch does not cover the batch; nothing was charged",
                                "向省财政厅申请增加额度，再运行一次。", "Ask the province for a larger budget, then run again."),
    "epoch_refused": Message("省财政厅已换密钥期", "The province serves another epoch now", "再运行一次。", "Run it again."),
    "insecure_url": Message("地址须以 https:// 开头", "The address must begin with https://", "改 mingce.toml 的 province.url。", "Change province.url in mingce.toml."),
    "tls_untrusted": Message("对方证书不受信任", "The server's certificate is not trusted", "在 mingce.toml 设置 province.ca_file。", "Set province.ca_file in mingce.toml."),
    "answer_invalid": Message("省财政厅的应答不合协议：{detail}", "The answer breaks the protocol: {detail}", *_ALARM),
    "proof_invalid": Message("应答的证明不成立，整批未保存", "The answer's proof does not hold; nothing of the batch was kept", *_ALARM),
    "label_invalid": Message("标签打不开，版本与清单不符", "A label does not open; the edition is not what its manifest says", *_ALARM),
    "manifest_invalid": Message("版本清单不合规：{detail}", "The manifest is malformed: {detail}", *_ALARM),
    "manifest_refused": Message("版本清单不可用：{detail}", "The manifest is refused: {detail}", *_ALARM),
    "pinned_key_mismatch": Message("密钥与已固定的不同：固定 {pinned}，收到 {found}", "Another key than the pinned one: pinned {pinned}, found {found}", *_ALARM),
    "edition_rollback": Message("收到比已有更旧的版本（{edition} < {known}）", "An older edition than the one known ({edition} < {known})", *_ALARM),
    "edition_replaced": Message("同一版本号出现两份清单", "Two manifests under one edition number", *_ALARM),
    "edition_not_valid": Message("版本不在有效期内（{not_before} 至 {not_after}）", "The edition is not valid now ({not_before} to {not_after})",
                                 "检查本机时钟；时钟无误则联系省财政厅。", "Check the clock; if it is right, ask the province."),
    "slice_invalid": Message("名单分片损坏或被改动：{detail}", "A slice is damaged or altered: {detail}", *_ALARM),
    "verification_failed": Message("校验不通过：{detail}", "Verification failed: {detail}", *_ALARM),
    "clock_skew": Message("对方时钟与本机相差过大", "The caller's clock is too far off", "双方校准时钟。", "Set both clocks."),
    "bad_signature": Message("请求签名无效：{detail}", "A request is not properly signed: {detail}", "核对双方指纹。", "Compare fingerprints."),
    "too_large": Message("一批超过 65,535 个元素", "More than 65,535 elements in a batch"),
    "suite_mismatch": Message("双方的算法套件不一致", "The two sides speak different suites", "更新软件。", "Update the software."),
    "bad_body": Message("请求格式不对", "The request body is malformed", "更新软件。", "Update the software."),
    # one-shot exchange
    "exchange_message_invalid": Message("交换文件不可用：{detail}", "The exchange file cannot be used: {detail}", *_SEND_AGAIN),
    "exchange_peer_message": Message("对方发来的数据不合协议：{detail}", "The other side's data break the protocol: {detail}", *_SEND_AGAIN),
    "exchange_worker_died": Message("处理对方数据的进程中止：{detail}", "The process that read the other side's data died: {detail}",
                                    "不要重试，问对方发了什么。", "Do not try again; ask what they sent."),
    "exchange_expired": Message("交换已超时", "The exchange has run out of time", "请重新开始。", "Begin anew."),
    "exchange_unknown": Message("没有这次交换：{detail}", "No such exchange: {detail}"),
    # made-up data and measuring
    "overlap_too_large": Message("名单上的成年人不够（需 {wanted}，有 {adults}）", "Not enough adults on the list (wanted {wanted}, there are {adults})",
                                 "加大 --rows 或减小 --overlap。", "Raise --rows or lower --overlap."),
    "too_many_people": Message("虚构号段不够用：{detail}", "The made-up prefixes are used up: {detail}", "减小 --rows。", "Lower --rows."),
    "bench_failed": Message("测量在这一步失败：{step}（{detail}）", "Measuring failed at: {step} ({detail})", *_REPORT),
    # this machine
    "backend_failed": Message("计算内核不可用：{detail}", "The arithmetic kernel failed: {detail}", "检查 MINGCE_BACKEND。", "Check MINGCE_BACKEND."),
    "demo_failed": Message("演示在这一步失败：{step}（{detail}）", "The demo failed at: {step} ({detail})", *_REPORT),
    "internal": Message("内部错误：{detail}", "Internal error: {detail}", *_REPORT),
}  # fmt: skip

GUARDS = {"list_shrunk", "budget_exhausted", "edition_not_rising", "not_granted"}
TEMPORARY = {
    "exchange_expired",
    "province_unavailable",
    "peer_unavailable",
    "province_refused",
    "epoch_refused",
}
WAITING = {Locked.code, "busy"}


def explain(error: MingceError) -> tuple[str, str]:
    """What happened and what to do next, in the user's language."""
    if isinstance(error, Refused):
        return error.sentence, ""
    message = MESSAGES.get(error.code, MESSAGES["internal"])
    params = defaultdict(str, {**error.params, "detail": error.detail})
    return say(message.zh, message.en).format_map(params), say(message.next_zh, message.next_en)


def exit_code(error: MingceError) -> int:
    """See scripts.cli.main."""
    if error.code in GUARDS:
        return 4
    if error.code in TEMPORARY:
        return 5
    if error.code in WAITING:
        return 7
    if isinstance(error, VerificationError):
        return 6
    return 3 if isinstance(error, InputError) or error.code == "exchange_worker_died" else 1
