"""Every error code in words: what happened and what to do next, Chinese first. A test holds this against the code.

``{name}`` stands for one of the error's params, or for ``detail``, its English remark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
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
_ASK_SENDER = ("请联系名单提供方（省财政厅或部门）。", "Ask the sender: the province or the department.")
_RESTORE = ("请从备份恢复该文件，不要继续使用。", "Restore the file from a backup; do not go on with it.")
_SEND_AGAIN = ("请对方重新生成并发送该文件。", "Ask the sender to make the file again.")
_RUN_AGAIN = ("稍后再运行一次，会从断点继续。", "Run it again later; it goes on where it was.")
_REPORT = ("请把本信息和版本号发给维护人员。", "Report this message and the version to the maintainers.")

MESSAGES: dict[str, Message] = {
    # input
    "bad_input": Message("输入不可用：{detail}", "The input cannot be used: {detail}"),
    "settings_invalid": Message("配置文件 {file} 有误：{field} {reason}", "Configuration {file}: {field} {reason}",
                                "请改正后再运行；若还没有配置，先运行 init。", "Correct it; if there is none yet, run init first."),
    "move_invalid": Message("{what} 目前是 {present}，不能转为 {wanted}", "The {what} is {present} and cannot become {wanted}",
                            "请刷新后按当前状态办理。", "Look at its present state again."),
    "policy_invalid": Message("政策文件 {file} 有误：{field} {reason}", "Policy file {file}: {field} {reason}",
                              "请改正后再运行 mingce policy check。", "Correct it, then run mingce policy check."),
    "policy_unknown": Message("{county} 在 {on} 没有唯一生效的政策", "No single policy is in force for {county} on {on}",
                              "请检查政策文件的 county 与有效期。", "Check `county` and the validity of the policy files."),
    "subsidy_terms_invalid": Message("利率或分担比例不可用：{detail}", "Rates or shares cannot be used: {detail}"),
    "loan_movements_invalid": Message("{on} 的还款超过所欠本金", "On {on} more is repaid than is owed",
                                      "请核对该笔贷款的放款与还款记录。", "Check the loan's drawdowns and repayments."),
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
    "schema_unknown": Message("没有标签结构 {schema}；内置的有：{known}", "No label schema {schema}; built in are: {known}",
                              "改正名称，或给出 .toml 文件（docs/reference/datasets.md）。", "Correct the name, or name a .toml file (docs/reference/datasets.md)."),
    "schema_invalid": Message("标签结构 {file} 不可用：{field} {reason}", "Label schema {file} cannot be used: {field} {reason}",
                              "请改正后再运行；写法见 docs/reference/datasets.md。", "Correct it; docs/reference/datasets.md says how it is written."),
    "receiver_refused": Message("名单 {dataset} 不提供给这类单位（{kind}）；可授权给：{receivers}", "Dataset {dataset} is not for a {kind}; it may be granted to: {receivers}",
                                "核对名单和对方身份；给谁由标签结构决定。", "Check the dataset and the party; the label schema says for whom it is."),
    "label_schema_changed": Message("名单 {dataset} 登记的标签结构是 {registered}，不能改用 {wanted} 或改变提供对象",
                                    "Dataset {dataset} is registered with the label schema {registered}; it cannot become {wanted}, nor be for others",
                                    "改回 mingce.toml 的 label；另一种标签请用 add-dataset 新建名单。", "Set `label` back in mingce.toml; for other labels make another dataset (add-dataset)."),
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
    "destruction_invalid": Message("密钥销毁记录不合规：{detail}", "A record of a destroyed key is malformed: {detail}", *_RESTORE),
    "receipt_keys_invalid": Message("凭据密钥文件不可用：{detail}", "The receipt keys cannot be used: {detail}", *_ASK_SENDER),
    "envelope_invalid": Message("签名文件格式不对：{detail}", "The signed document is malformed: {detail}", *_ALARM),
    "json_invalid": Message("JSON 不合规：{detail}", "Not strict JSON: {detail}", *_SEND_AGAIN),
    "signature_invalid": Message("签名不成立", "The signature does not hold", *_ALARM),
    "untrusted_signer": Message("签名者不是所信任的：应为 {expected}，实为 {found}", "Signed by another than the trusted party: expected {expected}, found {found}", *_ALARM),
    # operators
    "operator_key_invalid": Message("不是经办人密钥文件：{detail}", "Not an operator's key file: {detail}", "请核对文件。", "Check the file."),
    "operator_unknown": Message("没有这位经办人", "No such operator", "运行 operator list 查看。", "See `operator list`."),
    "operator_conflict": Message("{name} 已登记或已撤销，或另有关于此人的决定待签", "{name} is registered or revoked, or another decision about them waits", "运行 operator list 查看；撤销过的密钥不能再用，请另建。",
                                 "See `operator list`; a revoked key never comes back, make another."),
    "operator_not_allowed": Message("此人没有登记，或没有所需的角色（{role}）", "This person is not registered here, or lacks the role ({role})",
                                    "由有此角色的经办人签名。", "Let an operator who has the role sign."),
    "signatures_missing": Message("签名不足：已有 {found}，需要 {needed}", "Signatures are missing: {found} of {needed}",
                                  "请另一位经办人签名。", "Let another operator sign."),
    "already_signed": Message("此人已签过名", "This person has signed already", "须由另一人签名。", "Another person must sign."),
    "signer_unknown": Message("由无权签名者签名（指纹 {found}）", "Signed by someone who may not sign this (fingerprint {found})", *_ALARM),
    # stores
    "busy": Message("数据库正被占用", "The database is busy", *_RUN_AGAIN),
    "locked": Message("另一个任务正在运行", "Another run is at work", "等它结束。", "Wait for it to end."),
    "database_damaged": Message("数据库 {file} 损坏，已拒绝启动", "Database {file} is damaged; refused to start",
                                "停止使用该目录的所有进程，把 {file} 及其 -wal、-shm 文件移到别处，再恢复备份：cp 备份目录/{file} {file}。没有备份就不要继续。",
                                "Stop every process that uses this home, put {file} and its -wal and -shm files aside, then restore the backup: cp BACKUP/{file} {file}. Without a backup do not go on."),
    "database_unavailable": Message("数据库无法读写：{detail}", "The database cannot be read or written: {detail}",
                                    "检查磁盘空间和权限。", "Check disk space and permissions."),
    "sqlite_too_old": Message("SQLite {version} 有可能丢数据的缺陷", "SQLite {version} has a defect that can lose data", "重新运行 make 安装。", "Install again with make."),
    "audit_broken": Message("审计链断裂：{detail}", "The audit chain is broken: {detail}", "保留现场，通知审计。", "Keep everything as it is and tell the auditor."),
    "not_found": Message("没有这条记录：{detail}", "No such record: {detail}"),
    "party_conflict": Message("该名称或密钥已登记给别人", "The name or key is registered for someone else", "电话核对指纹。", "Compare fingerprints by telephone."),
    "not_granted": Message("没有授权：{detail}", "Not granted: {detail}", *_ASK_SENDER),
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
    # budgets, at the province
    "declaration_unknown": Message("没有编号为 {declaration} 的申报", "There is no declaration {declaration}",
                                   "运行 province declarations 查看。", "See `province declarations`."),
    "declaration_decided": Message("申报 {declaration} {why}", "Declaration {declaration} {why}",
                                   "运行 province declarations 查看；需要时另行申报。", "See `province declarations`; declare anew if needed."),
    "declaration_invalid": Message("额度与两人签名的申报不符：{detail}", "A budget is not what two operators signed: {detail}",
                                   "保留现场，停止服务，通知审计。", "Keep everything as it is, stop serving, tell the auditor."),
    "budget_refused": Message("{entity} 在 {dataset}/{epoch} 请求 {n} 个元素，超过剩余额度 {remaining}，已拒绝",
                              "{entity} asked {n} elements of {dataset}/{epoch}; {remaining} were left; refused",
                              "向该行了解原因；客户数确有增加的，由两人申报、复核。", "Ask the bank why; if it has more customers, declare and approve them."),
    "pace_day": Message("{entity} 在 {day} 查询 {dataset}/{epoch} {elements} 个元素，超过其申报客户一次全量所需的 {expected}",
                        "{entity} asked {elements} elements of {dataset}/{epoch} on {day}; one pass of its declared customers takes {expected}",
                        "向该行了解原因，必要时暂停其查询并通知审计抽查。", "Ask the bank why; if need be suspend it, and have an audit drawn."),
    "pace_reserve": Message("{entity} 在 {day} 于申报客户之外查询 {dataset}/{epoch} {elements} 个元素（常态不超过 {usual}）",
                            "{entity} asked {elements} elements of {dataset}/{epoch} beyond its declared customers on {day} (usual: at most {usual})",
                            "向该行了解原因，必要时暂停其查询并通知审计抽查。", "Ask the bank why; if need be suspend it, and have an audit drawn."),
    "clock_behind": Message("本机时钟倒退：已有 {day} 的记录，现在是 {today}", "This clock was set back: there are charges of {day}, now it is {today}",
                            "校准时钟；每晚额度到 {day} 之后才会更新。", "Set the clock; the nightly allowance is renewed only after {day}."),
    "hit_rate_low": Message("命中率异常：{customers} 个客户应约有 {expected} 人在名单上，实际 {matched} 人（{of}）",
                            "The hit rate is unusual: of {customers} customers about {expected} should be on the list, {matched} are ({of})",
                            "核对客户清单的来源，名单里可能混入了编造的号码；由合规部门确认后再移交。",
                            "Check where the customer list came from, it may hold made-up numbers; hand over only once compliance agrees."),
    "canary_assigned": Message("金丝雀 {number} 的号码 {item} 或其家庭编号已在名单上，不再发布为金丝雀",
                               "Canary {number} ({item}) or its household is on the list now; it is a canary no longer",
                               "向公安核实；需要时另行布设。", "Ask the police; plant others if needed."),
    "canaries_invalid": Message("金丝雀名单不可用：{detail}", "The file of canaries cannot be used: {detail}", *_ASK_SENDER),
    "canary_found": Message("银行 {bank} 的移交中有 {rows} 行金丝雀，且带有省里的凭据：该行查询了不属于任何客户的号码",
                            "{rows} canaries with the province's own receipts in a hand-over of {bank}: it asked for numbers of no customer",
                            "保留移交文件，不要通知该行，立即报省财政厅和审计。", "Keep the hand-over, do not tell the bank, report to the province and the auditor at once."),
    # publishing
    "list_shrunk": Message("名单可疑（行数 {rows}，减少比例 {removed_share}，上限 {limit}），未发布",
                           "The list looks wrong ({rows} rows, {removed_share} of them gone, limit {limit}); nothing published",
                           "看过名单确认无误后，加 --accept-shrink 再运行。", "Look at the list; if it is right, run again with --accept-shrink."),
    "list_withdrawn": Message("这份名单已被回退，未发布", "This very list was rolled back; nothing published",
                              "改正导出后再运行；名单其实无误时，用 province rollback --to 它的版本号 恢复。",
                              "Mend the export; if the list was right after all, `province rollback --to` its edition."),
    "edition_gone": Message("没有可回退的第 {edition} 版", "There is no edition {edition} to go back to",
                            "只能回退到仍保留、且不是当前的版本。", "Only an edition that is kept and is not the current one will do."),
    "nothing_staged": Message("没有可继续的名单：{detail}", "Nothing to go on with: {detail}", "先运行 import、encode。", "Run import, then encode."),
    "edition_not_rising": Message("版本号没有上升", "The edition's number does not rise", *_REPORT),
    "edition_inconsistent": Message("已发布版本的文件与记录不符：{detail}", "Published files and records disagree: {detail}", *_RESTORE),
    # warrants
    "warrant_invalid": Message("授权书不合规：{detail}", "Not a warrant: {detail}", "请改正后再提。", "Correct it and propose again."),
    "warrant_unknown": Message("没有这份授权书，或有多份以此开头", "No warrant, or more than one, begins so", "运行 bank warrant list 查看。", "See `bank warrant list`."),
    "warrant_missing": Message("没有生效的授权书，不能匹配名单 {dataset}", "No warrant in force allows a match against {dataset}",
                               "两位经办人依次运行 mingce bank（或 bureau）warrant propose、warrant sign。", "Two operators run `mingce bank` (or `bureau`) `warrant propose` and `warrant sign`."),
    "warrant_not_in_force": Message("授权书 {warrant} 未生效：{reason}", "Warrant {warrant} is not in force: {reason}",
                                    "运行 bank warrant list 查看；需要时重新提出并由两人签署。", "See `bank warrant list`; propose a new one, to be signed by two, if needed."),
    "warrant_exceeded": Message("超出授权书 {warrant}（{field}：允许 {allowed}，要求 {wanted}）", "Beyond warrant {warrant} ({field}: allowed {allowed}, wanted {wanted})",
                                "由两人签署新的授权书，或缩小本次匹配。", "Have a new warrant signed by two, or match less."),
    # exchange records and audits
    "record_invalid": Message("交换记录不可用：{detail}", "The exchange record cannot be used: {detail}", *_SEND_AGAIN),
    "record_unknown": Message("没有这份交换记录，或有多份以此开头", "No exchange record, or more than one, begins so", "运行 bank records 查看。", "See `bank records`."),
    "record_not_countersigned": Message("名单提供方尚未签署这份交换记录", "The sender has not signed this exchange record",
                                        "再运行一次匹配，会自动补送；有异议时先与名单提供方核对。", "Run a match again, which hands it in; if it is disputed, settle that first."),
    "record_mismatch": Message("银行的交换记录与扣减记录不符（{part}，第 {index} 批）", "A bank's exchange record is not what was charged ({part}, batch {index})",
                               "已记警报；请与该银行核对该批。", "An alarm is recorded; compare the batch with the bank."),
    "record_disputed": Message("名单提供方的扣减与本方交换记录不符（{part}，第 {index} 批）；匹配结果有效", "The sender charged something else than our record says ({part}, batch {index}); the match itself stands",
                               *_ALARM),
    "draw_invalid": Message("抽查文件不可用：{detail}", "The draw cannot be used: {detail}", "请审计员核对交换记录后重新抽取。", "Let the auditor check the record and draw again."),
    "opening_not_approved": Message("尚无两位经办人批准向该审计员开示", "Two operators have not approved this opening",
                                    "两位经办人依次运行 audit approve。", "Two operators run `audit approve`, one after the other."),
    "opening_invalid": Message("开示文件不可用：{detail}", "The opening cannot be used: {detail}", "记入审计底稿，请银行当面重新开示。",
                               "Note it in the audit's papers; have the bank open the positions again in your presence."),
    # matching
    "province_unavailable": Message("连不上名单提供方的服务：{detail}", "The sender cannot be reached: {detail}", *_RUN_AGAIN),
    "peer_unavailable": Message("连不上对方：{detail}", "The other side cannot be reached: {detail}", *_RUN_AGAIN),
    "peer_refused": Message("对方拒绝：{detail}", "The other side refused: {detail}"),
    "province_refused": Message("名单提供方拒绝（{status} {problem}）", "The sender refused ({status} {problem})", *_ASK_SENDER),
    "signature_refused": Message("名单提供方不认识本方的签名", "The sender does not know this party's signature",
                                 "确认本方已登记；检查网关是否改写了请求。", "Check that you are registered, and that no gateway rewrites requests."),
    "clock_refused": Message("本机时钟与名单提供方相差超过五分钟", "This clock is more than five minutes off", "校准时钟。", "Set the clock."),
    "access_refused": Message("本方没有该名单的授权", "The dataset is not granted to this party", *_ASK_SENDER),
    "budget_exhausted": Message("本期查询额度不足（剩余 {remaining} 个元素），这一批未扣减",
                                "The budget does not cover the batch ({remaining} elements left); nothing of it was charged",
                                "按现有客户数向名单提供方申报变更；批准后再运行一次，会从断点继续。",
                                "Declare your present number of customers to the sender; once approved, run again, it goes on where it was."),
    "budget_waits": Message("今天的查询额度不足（剩余 {remaining} 个元素），这一批未扣减；北京时间 {next_at} 起有新额度",
                            "Today's allowance does not cover the batch ({remaining} elements left); nothing of it was charged; more comes at {next_at} Beijing time",
                            "到时再运行一次，会从断点继续；每晚都不够时，向名单提供方申报每晚新增客户数。",
                            "Run again then, it goes on where it was; if it happens every night, declare more new customers a night."),
    "epoch_refused": Message("名单提供方已换密钥期", "The sender serves another epoch now", "再运行一次。", "Run it again."),
    "insecure_url": Message("地址须以 https:// 开头", "The address must begin with https://", "改 mingce.toml 的 province.url。", "Change province.url in mingce.toml."),
    "tls_untrusted": Message("对方证书不受信任", "The server's certificate is not trusted", "在 mingce.toml 设置 province.ca_file。", "Set province.ca_file in mingce.toml."),
    "certificate_refused": Message("名单提供方没有接受本方的客户端证书", "The sender did not accept this party's client certificate",
                                   "检查 province.client_cert 与 client_key；新证书须先由省财政厅登记。", "Check province.client_cert and client_key; a new key must be bound by the province first."),
    "bad_certificate": Message("客户端证书与签名者不符", "The client certificate is not the signer's", "用 certificate bind 登记该证书。", "Bind it with `certificate bind`."),
    "certificate_invalid": Message("不是可读的证书文件：{detail}", "Not a certificate that can be read: {detail}", "请用 PEM 格式的证书。", "Use a certificate in PEM."),
    "insecure_listen": Message("不能在 {host} 上不加密地监听：{detail}", "Refused to listen on {host} without TLS: {detail}",
                               "设置 serve.tls_cert 与 serve.tls_key，或只监听 127.0.0.1 并在前面放 nginx。", "Set serve.tls_cert and serve.tls_key, or listen on 127.0.0.1 behind nginx."),
    "address_in_use": Message("{address} 已被另一个进程占用", "Another process listens at {address}", "停止它，或换一个端口。", "Stop it, or choose another port."),
    "tls_files_invalid": Message("TLS 证书或私钥不可用：{detail}", "The TLS certificate or key cannot be used: {detail}",
                                 "核对 mingce.toml 里的证书与私钥路径。", "Check the paths of certificate and key in mingce.toml."),
    "answer_invalid": Message("名单提供方的应答不合协议：{detail}", "The answer breaks the protocol: {detail}", *_ALARM),
    "proof_invalid": Message("应答的证明不成立，整批未保存", "The answer's proof does not hold; nothing of the batch was kept", *_ALARM),
    "label_invalid": Message("标签打不开，版本与清单不符", "A label does not open; the edition is not what its manifest says", *_ALARM),
    "equivocation": Message("名单提供方给两家看到的内容不同（{dataset} {epoch} 期，{part}）！本方：{mine}；对方：{theirs}",
                            "The sender showed two parties DIFFERENT things ({dataset} epoch {epoch}, {part}): mine {mine}, theirs {theirs}", *_ALARM),
    "fingerprint_invalid": Message("指纹文件或数字码不可用：{detail}", "The fingerprint file or code cannot be used: {detail}",
                                   "请对方运行 bank fingerprint 重新生成，或重读 30 位数字。", "Let them run `bank fingerprint` again, or read the 30 digits once more."),
    "epoch_unseen": Message("本行没有见过这一密钥期", "This bank never saw such an epoch", "运行 bank fingerprint 查看。", "See `bank fingerprint`."),
    "epoch_still_valid": Message("这一期还没有结束（至 {not_after}）", "The epoch is not over (until {not_after})",
                                 "现在遗忘，以后要重新查询并占用额度；确要如此，加 --early。", "Forgetting now means asking and paying again; if you mean it, add --early."),
    "epoch_forgotten": Message("所需数据已随密钥期遗忘", "What is needed was forgotten with its epoch"),
    "records_unsettled": Message("还有 {batches} 个批次的交换记录未经提供方签署", "{batches} batches have no exchange record signed by the sender",
                                 "先运行一次 bank match 交齐记录。", "Run `bank match` once to hand the records in."),
    "manifest_invalid": Message("版本清单不合规：{detail}", "The manifest is malformed: {detail}", *_ALARM),
    "manifest_refused": Message("版本清单不可用：{detail}", "The manifest is refused: {detail}", *_ALARM),
    "pinned_key_mismatch": Message("密钥与已固定的不同：固定 {pinned}，收到 {found}", "Another key than the pinned one: pinned {pinned}, found {found}", *_ALARM),
    "edition_rollback": Message("收到比已有更旧的版本（{edition} < {known}）", "An older edition than the one known ({edition} < {known})", *_ALARM),
    "edition_replaced": Message("同一版本号出现两份清单", "Two manifests under one edition number", *_ALARM),
    "nothing_to_compare": Message("没有两次可比较的匹配：{detail}", "There are no two matches to compare: {detail}",
                                  "再运行一次 bank match；较早的明细可能已按 match.keep_runs 清理。",
                                  "Run `bank match` again; older records may be gone by match.keep_runs."),
    "edition_stale": Message("第 {edition} 版制作于 {created_at}，已超过 {max_days} 天；可能有新版本被扣留",
                             "Edition {edition} was made {created_at}, more than {max_days} days ago; newer ones may be withheld",
                             "请电话问名单提供方现在是第几版；名单确实长期未更新时可调 match.max_age_days。",
                             "Ask the sender by telephone which edition is current; match.max_age_days allows older ones."),
    "delta_base_mismatch": Message("增量版本与其全量版本不配套：{detail}", "A delta edition and its base do not belong together: {detail}", *_ALARM),
    "edition_not_valid": Message("版本不在有效期内（{not_before} 至 {not_after}）", "The edition is not valid now ({not_before} to {not_after})",
                                 "检查本机时钟；时钟无误则联系名单提供方。", "Check the clock; if it is right, ask the sender."),
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

GUARDS = {
    "declaration_decided",
    "epoch_still_valid",
    "records_unsettled",
    "record_not_countersigned",
    "opening_not_approved",
    "warrant_missing",
    "warrant_not_in_force",
    "warrant_exceeded",
    "signatures_missing",
    "operator_not_allowed",
    "list_shrunk",
    "list_withdrawn",
    "budget_exhausted",
    "edition_not_rising",
    "not_granted",
}
TEMPORARY = {
    "budget_waits",
    "exchange_expired",
    "province_unavailable",
    "peer_unavailable",
    "province_refused",
    "signature_refused",
    "certificate_refused",
    "clock_refused",
    "access_refused",
    "epoch_refused",
}
WAITING = {Locked.code, "busy"}


_PARTS = {
    "batch": ("没有这一批", "no such batch"),
    "place": ("名单或密钥期", "dataset or epoch"),
    "elements": ("元素数", "elements"),
    "request": ("请求摘要", "digest of the request"),
    "answer": ("应答摘要", "digest of the answer"),
}
# Words of their own that these errors give as params: zh and en.
WORDS_OF: dict[str, dict[str, tuple[str, str]]] = {
    "receiver_refused": {
        "bank": ("银行", "bank"),
        "bureau": ("财政局", "bureau"),
        "department": ("部门", "department"),
    },
    "warrant_not_in_force": {
        "unsigned": ("第二位经办人尚未签名", "a second operator has not signed"),
        "revoked": ("已撤销", "revoked"),
        "over": ("已过期", "over"),
        "not_begun": ("尚未开始", "not begun"),
        "signer_gone": ("签名人已不是经办人，或没有所需的角色", "a signer is no operator any more, or lacks the role"),
        "another_bank": ("属于另一家机构", "another bank's"),
    },
    "warrant_exceeded": {
        "dataset": ("名单", "dataset"),
        "division": ("区划", "division"),
        "max_new_customers": ("客户数", "customers"),
    },
    "declaration_decided": {
        "decided": ("已经有了决定", "is decided already"),
        "waits": ("还在等待复核，同一额度不能再申报", "still waits for approval; its budget cannot be declared again"),
        "outdated": ("提出之后已批准了另一份申报", "was proposed before another one was approved"),
    },
    "hit_rate_low": {
        "list": ("整份清单", "the whole list"),
        "new": ("首次查询的客户", "those asked for the first time"),
    },
    "record_mismatch": _PARTS,
    "record_disputed": _PARTS,
}


def explain(error: MingceError) -> tuple[str, str]:
    """What happened and what to do next, in the user's language."""
    if isinstance(error, Refused):
        return error.sentence, ""
    return explain_code(error.code, error.detail, error.params)


def explain_code(code: str, detail: str, params: Mapping[str, object]) -> tuple[str, str]:
    """The same for an error that was written down, such as an alarm."""
    message = MESSAGES.get(code, MESSAGES["internal"])
    known = {value: say(*words) for value, words in WORDS_OF.get(code, {}).items()}
    spoken = {name: known.get(value, value) if isinstance(value, str) else value for name, value in params.items()}
    words = defaultdict(str, {**spoken, "detail": detail})
    return say(message.zh, message.en).format_map(words), say(message.next_zh, message.next_en).format_map(words)


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
