"""Every error code in words: what happened and what to do next, Chinese first. A test holds this against the code.

``{name}`` stands for one of the error's params, or for ``detail``, its English remark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from keys.files import Locked
from matcher.states import MACHINES
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
                              "请检查政策的 county 与有效期；采用政策须两人：mingce policy propose、adopt。", "Check `county` and the validity; two persons put a policy in force: mingce policy propose, adopt."),
    "household_unknown": Message("没有编号为 {household} 的家庭，或不在您的范围内", "There is no household {household}, or it is not in your care", "请用 mingce household list 查编号。", "Look its number up with mingce household list."),
    "reason_missing": Message("没有写明原因", "No reason was given", "排除或补充家庭须写明原因。", "Leaving a household out, or taking one in, needs a reason."),
    "conflict_unknown": Message("没有编号为 {conflict} 的冲突", "There is no conflict {conflict}", "请用 mingce household conflicts 查编号。", "Look its number up with mingce household conflicts."),
    "settlement_invalid": Message("冲突 {conflict} 不能这样处理：{reason}", "Conflict {conflict} cannot be settled like this: {reason}", "请用 mingce household conflicts 查看该冲突。", "Look at it with mingce household conflicts."),
    "number_invalid": Message("证件号码不可用（{reason}）", "The ID number cannot be used ({reason})", "请对照证件重新输入。", "Type it again from the card."),
    "policy_proposal_unknown": Message("没有这份待采用的政策", "There is no such proposed policy", "请用 mingce policy list 查看。", "Look at mingce policy list."),
    "policy_clash": Message("{county} 已有 {valid_from} 起生效的政策 {other}", "For {county} policy {other} begins on {valid_from} already", "请给新版本另定生效日。", "Give the new version another first day."),
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
    # who may
    "not_allowed": Message("您的账号没有这项权限，或不在您的负责范围（{permission}）", "Your account may not do this, or it is not in your care ({permission})",
                           "由有此权限的人办理；各角色的权限见 docs/reference/roles.md。", "Let somebody do it who may; docs/reference/roles.md lists each role's permissions."),
    "same_person": Message("须由另一人办理：前一步是 {first} 做的", "A second person has to do this: {first} did the first part",
                           "请另一位有权限的人用自己的账号办理。", "Let another person who may do it with their own account."),
    "account_invalid": Message("账号不可用：{reason}", "The account cannot be so: {reason}", "请改正后再提出。", "Correct it and propose it again."),
    "account_conflict": Message("账号名 {name} 已有或曾有人使用", "The name {name} is or was another account's", "换一个名字；用过的账号名不再使用。", "Choose another name; none is used twice."),
    "account_unknown": Message("没有账号 {name}", "There is no account {name}", "运行 account list 查看。", "See `account list`."),
    "account_state": Message("账号 {name} 目前是 {state}，不能这样办理", "The account {name} is {state}; this is not possible", "运行 account list 查看。", "See `account list`."),
    "founders_complete": Message("已有两位管理员", "Two administrators are at work already", "请一位管理员用 account create 提出，另一位用 account approve 复核。", "One of them proposes with `account create`, the other approves with `account approve`."),
    "sign_in_failed": Message("登录未成功：账号或口令不对，或因多次失败暂停登录", "No sign-in: wrong name or password, or paused after too many failures",
                              "核对后再试；暂停最长 15 分钟。忘记口令请两位管理员运行 account reset。", "Check both and try again; a pause ends within 15 minutes. If the password is forgotten, two administrators run `account reset`."),
    "password_not_chosen": Message("一次性口令只能用来设置自己的口令", "A one-time password is only good for choosing one's own", "请先运行 account set-password。", "Run `account set-password` first."),
    "password_weak": Message("口令不可用（{reason}）", "The password cannot be used ({reason})", "请用 12 个字符以上、不含账号名、不重复的口令；可以是一句话。", "Use 12 characters or more, without the account's name or repetition; a sentence will do."),
    "session_invalid": Message("登录已结束", "The session has ended", "请重新登录。", "Sign in again."),
    "idempotency_conflict": Message("同一办理编号对应了不同内容", "One key stands for two requests", "请刷新后按当前状态办理。", "Look at the present state, then do it again with a new key."),
    "idempotency_key_invalid": Message("办理编号须为 1 至 64 个可见 ASCII 字符", "A key is 1 to 64 printable ASCII characters"),
    # claims
    "claim_unknown": Message("没有这个编号：{what} {number}", "There is no {what} {number}", "用 mingce claim list、claim show 查编号。", "Look it up with mingce claim list and claim show."),
    "claim_not_ready": Message("还不能办理这一步，还差：{what}（{count}）", "This step has to wait for: {what} ({count})", "docs/reference/claims.md 列出每一步之前要办的事。", "docs/reference/claims.md lists what comes before each step."),
    "claim_tampered": Message("申报 {claim} 的明细与冻结时不一致", "The lines of claim {claim} are not those that were frozen", "停止办理，保留现场，通知审计；mingce audit verify 检查审计链。", "Stop, keep everything as it is and tell the auditor; check the chain with mingce audit verify."),
    "figures_file_invalid": Message("{file} 第 {row} 行读不了：{column} {reason}", "{file}, row {row} cannot be read: {column} {reason}", "改正该行后重新核对；列见 docs/reference/claims.md。", "Correct the row and compare again; docs/reference/claims.md has the columns."),
    "exception_settled": Message("事项 {exception} 已处理过", "Exception {exception} is settled already", "用 mingce claim show 查看。", "See mingce claim show."),
    # figures and reports
    "figure_unknown": Message("没有 {name} 这个指标；有：{known}", "There is no figure {name}; there are: {known}", "见 docs/reference/figures.md。", "See docs/reference/figures.md."),
    "day_not_over": Message("{day} 还没有到，无法统计", "{day} has not come yet; it has no figures", "换一个已过的日期。", "Choose a day that has come."),
    "figures_missing": Message("{day} 的指标还没有计算", "The figures of {day} have not been computed", "运行夜间任务（mingce bureau nightly --day {day}）。", "Run the nightly job (mingce bureau nightly --day {day})."),
    "report_period_invalid": Message("报告期 {start} 至 {end} 不可用：尚未到来，或首尾颠倒", "No report of {start} to {end}: it has not come, or ends before it begins", "改正日期。", "Correct the days."),
    "report_county_unclear": Message("本单位管辖多个县（{counties}），报表须按县编制", "This bureau has several counties ({counties}); a report is of one", "为每个县各设一个目录（mingce.toml 的 divisions 只写一个）。", "Keep a home for each county, with one entry in `divisions`."),
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
    "audit_broken": Message("审计链在第 {seq} 行断裂（{kind}）", "The audit chain is broken at row {seq} ({kind})",
                            "保留现场，通知审计；mingce audit verify 列出每一处。", "Keep everything as it is and tell the auditor; `mingce audit verify` lists every place."),
    "audit_head_invalid": Message("不是审计链链头文件：{detail}", "Not the head of an audit chain: {detail}", "核对文件；链头由 mingce audit head 签出。", "Check the file; `mingce audit head` makes them."),
    "purge_record_invalid": Message("清除记录不可用：{detail}", "A record of a purge cannot be used: {detail}", *_RESTORE),
    # people and departments' answers
    "text_not_plain": Message("{field} 不可用：{reason}", "{field} cannot be used: {reason}", "此处不加密保存：用 1 至 200 个字说明，不写证件号码。", "It is kept in the clear: 1 to 200 characters, without an ID number."),
    "member_unknown": Message("没有编号为 {member} 的家庭成员", "There is no member {member} of a household", "用 bureau find 查找。", "Look for the person with `bureau find`."),
    "search_invalid": Message("查找内容不可用：{reason}", "This cannot be looked for: {reason}", "请输入完整的姓名或证件号码。", "Give a whole name or ID number."),
    "check_entry_invalid": Message("部门答复不能这样登记：{field} {reason}", "A department's answer cannot be entered so: {field} {reason}", "按部门的标签结构改正（docs/reference/datasets.md）。", "Correct it by the department's label schema (docs/reference/datasets.md)."),
    "check_conflict": Message("文件 {document} 已为此人登记过另一种答复", "The document {document} is entered for this person with another answer", "核对文件；更正须另有文号。", "Check the document; a correction has a number of its own."),
    "checks_missing": Message("还缺部门核验：{departments}（{members} 人）", "Department checks are missing: {departments} ({members} people)",
                              "运行 bureau check、take-checks，或用 enter-check 登记；bureau missing-checks 列出每人所缺。", "Run `bureau check` and `take-checks`, or enter them with `enter-check`; `bureau missing-checks` lists what each lacks."),
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
    # reviews
    "claimed_by_other": Message("{by} 正在办理此户（自 {since}）", "{by} is working on this household (since {since})",
                                "请办理其他户，或请复核员用 review release 退回队列。", "Take another one, or let a checker give it back with review release."),
    "decision_unknown": Message("没有编号为 {decision} 的审核决定", "There is no decision {decision}", "用 review queue --stage to_confirm 查编号。", "Look its number up with review queue --stage to_confirm."),
    "decision_waits": Message("{by} 提出的决定 {decision} 还在等待复核", "Decision {decision}, proposed by {by}, still waits for the second person", "请先由另一人复核（review confirm）或退回（review send-back）。", "Let a second person answer it first: review confirm or review send-back."),
    "decision_made": Message("决定 {decision} 已由 {by} 于 {at} 办结：{state}", "Decision {decision} was answered by {by} at {at}: {state}", "无需再办；请刷新队列。", "Nothing is left to do; look at the queue again."),
    "collector_decides": Message("走访 {visit} 的信息由您采集，不能由您审核", "You collected the form of visit {visit}, so you may not decide upon it", "请另一位有权限的人办理。", "Let another person who may do it."),
    "visit_missing": Message("家庭 {household} 还没有已采纳的走访", "Household {household} has no accepted visit yet", "先采纳走访（visit accept），或退回重新走访。", "Accept its visit first (visit accept), or return it to be visited again."),
    "conflict_unsettled": Message("家庭信息冲突尚未处理：{kinds}", "Conflicts are not settled: {kinds}", "用 household settle 处理后再审核。", "Settle them with household settle, then decide."),
    "evidence_changed": Message("提出之后有变化：{changed}", "This has changed since it was proposed: {changed}", "待复核的请退回（review send-back）重新提出；确认期中的请登记异议（review objection），重新审核。", "A proposal: send it back (review send-back), to be made anew. In confirmation: enter an objection (review objection), so that the review begins again."),
    "remark_missing": Message("须写明理由（{why}）", "A remark is needed ({why})", "用 --remark 说明。", "Say why with --remark."),
    "appeal_used": Message("家庭 {household} 已申诉过一次", "Household {household} has appealed once already", "申诉只有一次；请向家庭书面说明。", "An appeal is possible once; tell the family in writing."),
    "objection_late": Message("异议期已于 {ends_on} 结束", "The days for objections ended on {ends_on}", "进入最终名单后发现的问题，用 review end 暂停或移出。", "What is found later is for review end: suspend or remove."),
    "confirmation_runs": Message("确认期还不能结束，还差：{waits_for}（异议期至 {ends_on}）", "The confirmation cannot be closed yet; wanting: {waits_for} (objections until {ends_on})", "办齐后再运行 review close。", "Complete it, then run review close."),
    # visits
    "form_invalid": Message("采集表有 {count} 处问题；第一处：{first}", "The form has {count} problems; the first: {first}",
                            "按所列各处改正后再保存。", "Correct every place listed, then save again."),
    "image_refused": Message("图片不能保存：{reason}", "The image cannot be kept: {reason}",
                             "请用 JPEG 或 PNG 照片重新上传。", "Send a photograph as JPEG or PNG."),
    "attachment_unknown": Message("没有附件 {attachment}", "There is no attachment {attachment}"),
    "visit_unknown": Message("没有走访任务 {visit}，或不在本账号的职责范围内", "There is no visit {visit}, or it is not in this account's care",
                             "用 mingce visit list 查看。", "Look at mingce visit list."),
    "visit_changed": Message("走访任务 {visit} 已被他人更新（现为第 {present} 版，{state}）", "Somebody changed visit {visit} meanwhile (now version {present}, {state})",
                             "对照两边内容后，在最新版本上重新办理。", "Compare both sides, then do it again on the present version."),
    "visit_incomplete": Message("走访任务 {visit} 还不能提交，缺：{missing}", "Visit {visit} cannot be submitted yet; missing: {missing}",
                                "补齐后再提交。", "Complete it, then submit."),
    "visit_not_plannable": Message("家庭 {household} 不能再安排走访：{reason}", "No visit can be planned for household {household}: {reason}"),
    "manager_unsuitable": Message("不能分派给 {manager}：{reason}", "It cannot be given to {manager}: {reason}",
                                  "换一个账号，或先改账号的职责范围。", "Choose another account, or change what it cares for."),
    "device_key_reused": Message("设备编号不可用：{detail}", "The device key cannot be used: {detail}", "为这份表生成新的编号。", "Make a new key for this form."),
    "place_invalid": Message("定位或时间不可用：{field}", "The place or time cannot be used: {field}",
                             "检查设备的定位和时钟。", "Check the device's positioning and clock."),
    # loans
    "loan_event_refused": Message("贷款事项不能登记：{detail}", "The loan's event cannot be entered: {detail}"),
    "loan_cell_unusable": Message("{field} 没有填写或无法识别", "{field} is missing or cannot be read", "写法见 docs/reference/loan-file.md。", "docs/reference/loan-file.md says how it is written."),
    "loan_unknown": Message("没有这笔贷款（{contract_no}）", "There is no such loan ({contract_no})", "核对合同编号；放款、还款须在合同登记之后。", "Check the contract's number; a contract is entered before its drawdowns."),
    "loan_bank_unknown": Message("没有登记银行“{bank}”，或需要指明哪家银行；已登记：{known}", "No bank “{bank}” is registered, or say which; registered: {known}",
                                 "用 --bank 指明；新银行先运行 bureau trust。", "Name it with --bank; trust a new bank with `bureau trust` first."),
    "loan_day_in_future": Message("日期 {on} 还没有到", "The day {on} is yet to come", "核对业务日期；到期再登记。", "Check the day; enter it when it has come."),
    "loan_value_invalid": Message("{field} 的值不可用：{detail}", "The value of {field} cannot be used: {detail}", "改正后再登记。", "Correct it and enter it again."),
    "borrower_unknown": Message("没有家庭登记过这位借款人（{item}）", "No household here has this borrower ({item})", "核对证件号码；不在名单上的家庭不能享受政策。", "Check the ID number; only listed households are supported."),
    "not_on_final_list": Message("{on} 借款人（{item}）的家庭不在最终名单上", "On {on} the household of the borrower ({item}) was not on the final list",
                                 "核对起息日与名单生效日；已跃迁、暂停或移出的家庭，新贷款、续贷不享受贴息。", "Compare the first day with the list's effective days; households that left it get no subsidy on new loans or renewals."),
    "borrower_in_two_households": Message("{on} 借款人（{item}）同时在两户最终名单家庭中", "On {on} the borrower ({item}) was in two households of the final list", "先处理家庭冲突（household settle）。", "Settle the conflict first (`household settle`)."),
    "commitment_missing": Message("合同 {contract_no} 在起息日前没有借款人签署的身份承诺书", "The borrower signed no commitment for contract {contract_no} by its first day", "先登记承诺书（loan commit），再登记合同。", "Enter the commitment (`loan commit`), then the contract."),
    "commitment_unknown": Message("没有承诺书 {commitment_id}，或没有存其扫描件", "There is no commitment {commitment_id}, or no image of it is kept", "核对编号；先登记承诺书，再上传扫描件。", "Check its number; enter the commitment, then its image."),
    "commitment_differs": Message("承诺书 {commitment_no} 已登记，内容不同", "Commitment {commitment_no} is entered with other content", "核对编号；承诺书登记后不修改，另签一份用新编号。", "Check the number; a commitment is never changed, a new one gets a new number."),
    "commitment_template_unknown": Message("没有承诺书模板版本 {version}；现有：{known}", "No commitment template has version {version}; known: {known}", "改用现有版本。", "Use one of these."),
    "facility_unknown": Message("该户当日没有授信 {facility_no}", "The household has no facility {facility_no} that day", "先登记授信，或核对授信编号与期限。", "Enter the facility first, or check its number and term."),
    "facility_differs": Message("授信 {facility_no} 已登记，内容不同", "Facility {facility_no} is entered with other content", "核对编号；新的授信用新编号。", "Check the number; another facility gets another number."),
    "facility_exceeded": Message("授信 {facility_no} 额度 {amount} 元，其下合同共 {wanted} 元", "Facility {facility_no} is for {amount} yuan; its contracts come to {wanted}", "减少本合同金额，或登记新的授信。", "Lower the contract's amount, or enter another facility."),
    "product_not_allowed": Message("政策没有产品“{product}”；有：{known}", "The policy has no product “{product}”; it has: {known}", "改用政策中的产品。", "Use a product of the policy."),
    "household_cap_exceeded": Message("该户同期贷款（含各家银行）共 {wanted} 元，超过上限 {cap} 元", "The household's loans at all banks would come to {wanted} yuan, above its cap of {cap}", "减少金额，或待原贷款结清后再签。", "Lower the amount, or sign when an earlier loan is settled."),
    "term_not_allowed": Message("合同期限超过 {months} 个月（最晚 {latest} 到期）", "The contract runs longer than {months} months (to {latest} at most)", "缩短期限。", "Shorten the term."),
    "rate_not_allowed": Message("客户利率须在 {lowest}% 至 {highest}% 之间", "The customer's rate must be between {lowest}% and {highest}%", "核对合同利率与让利后的客户利率。", "Check the contract's rate and the one after the concession."),
    "contract_dates_invalid": Message("合同日期不合理：{why}", "The contract's days cannot be so: {why}", "核对签订日、起息日和到期日。", "Check the days of signing, start and end."),
    "contract_differs": Message("合同 {contract_no} 已登记，内容不同", "Contract {contract_no} is entered with other content", "核对合同编号；合同登记后不修改。", "Check the number; a contract is never changed once entered."),
    "loan_entry_differs": Message("流水号 {reference} 已登记，内容不同", "The entry {reference} is there with other content", "核对流水号；更正请先冲正。", "Check the reference; correct an entry by reversing it."),
    "loan_entry_unknown": Message("没有可冲正的流水 {reference}", "There is no entry {reference} to reverse", "核对原流水号。", "Check the reference of the entry."),
    "outside_contract": Message("{on} 不在合同期内（{first} 至 {last}）", "{on} is not within the contract ({first} to {last})", "核对业务日期和合同。", "Check the day and the contract."),
    "principal_exceeded": Message("{on} 所欠 {owed} 元，超过合同金额 {principal} 元", "On {on} {owed} yuan would be owed, above the contract's {principal}", "核对放款金额。", "Check the amount drawn."),
    "repaid_too_much": Message("{on} 的还款超过所欠本金，或尚未放款", "On {on} more is repaid than is owed, or nothing was drawn", "核对放款与还款记录。", "Check the drawdowns and repayments."),
    "balance_left": Message("还欠 {owed} 元，或其后还有发生额，不能结清", "{owed} yuan is still owed, or there are later entries: not settled", "先登记还本。", "Enter the repayments first."),
    "loan_ended": Message("贷款 {contract_no} 已于 {on} 结清或核销", "Loan {contract_no} ended on {on}", "结清后只能登记还息。", "After its end only paid interest is entered."),
    "loan_span_invalid": Message("起止日期不合理：{why}", "The days cannot be so: {why}", "核对日期与贷款现状（loan show）。", "Compare with the loan as it is (`loan show`)."),
    "final_list_masked": Message("第 {row} 行的证件号码不可用：这不是给银行的那份最终名单", "The ID number in row {row} cannot be used: this is not the copy made for a bank",
                                 "由银行账号运行 review final 导出本行的名单。", "Let the bank's account write its own with `review final`."),
    "loan_kind_unknown": Message("不认识的业务类型“{kind}”", "Unknown kind of business “{kind}”", "可用的业务类型见 docs/reference/loan-file.md。", "docs/reference/loan-file.md lists the kinds."),
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
    "checks_missing",
    "not_allowed",
    "same_person",
    "account_state",
    "founders_complete",
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
    "claim_not_ready": {
        "year": ("年度尚未结束", "the end of the year"),
        "earlier": ("更早年度先冻结", "earlier years, frozen first"),
        "later": ("更晚年度已冻结", "nothing: a later year is frozen"),
        "faults": ("无法计息的贷款", "loans that cannot be computed"),
        "lines": ("应付且已付清的利息", "interest that is due and paid"),
        "reconciliation": ("与银行数字核对", "the bank's own figures, compared"),
        "sample": ("审计抽样", "the auditor's sample"),
        "findings": ("抽查结论", "findings of the sample"),
        "exceptions": ("未处理事项", "exceptions to settle"),
    },
    "claim_unknown": {
        "claim": ("申报", "claim"),
        "line": ("明细行", "line"),
        "exception": ("事项", "exception"),
        "bank": ("银行", "bank"),
        "county": ("县", "county with a policy"),
    },
    "figures_file_invalid": {
        "value": ("不是可用的值", "is no usable value"),
        "twice": ("重复", "stands twice"),
        "ragged_row": ("列数不对", "the row has other columns"),
        "empty": ("空行", "the row is empty"),
    },
    "receiver_refused": {
        "bank": ("银行", "bank"),
        "bureau": ("财政局", "bureau"),
        "department": ("部门", "department"),
    },
    "settlement_invalid": {
        "settled": ("已处理过", "it is settled"),
        "name": ("同号不同名须选定其中一个姓名，其他冲突不选", "of two names one is chosen, and only there"),
        "leaves": ("只有一人在两户时可注明离户", "somebody leaves by a person in two households only"),
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
    "audit_broken": {
        "edited": ("被改动", "edited"),
        "moved": ("被移动", "moved"),
        "missing": ("被删除", "deleted"),
        "inserted": ("插入", "inserted"),
        "replaced": ("被整行替换", "replaced"),
        "cut": ("末尾被截去", "cut off"),
    },
    "text_not_plain": {
        "reason": ("理由", "the reason"),
        "document_no": ("文号", "the document's number"),
        "empty": ("没有填写", "it is empty"),
        "too_long": ("太长", "it is too long"),
        "number": ("含有证件号码", "it holds an ID number"),
    },
    "check_entry_invalid": {
        "as_of": ("数据日期", "the day"),
        "future": ("尚未到来", "is still to come"),
        "unknown": ("不是该部门的字段", "is no field of the department"),
        "bad_value": ("没有这样的值", "has no such value"),
    },
    "account_invalid": {
        "name_form": (
            "账号名须为 2 至 32 个小写字母、数字或 . _ -，以字母开头",
            "a name is 2 to 32 of a-z 0-9 . _ - and begins with a letter",
        ),
        "display_name_form": ("姓名须为 1 至 40 个可见字符", "a person's name is 1 to 40 printable characters"),
        "roles_none": ("至少要有一个角色", "it needs a role"),
        "roles_alone": ("管理员、审计不能兼任其他角色", "admin and auditor go with no other role"),
        "roles_mixed": ("银行人员不能兼任政府一侧的角色", "a bank's roles go with no role of the government"),
        "bank_missing": ("银行人员须指明所属银行（--bank）", "a bank's person needs a bank (--bank)"),
        "bank_foreign": ("只有银行人员才指明银行", "only a bank's people have a bank"),
        "bank_unknown": (
            "没有信任过这家银行，先运行 bureau trust",
            "no such bank is trusted here; run `bureau trust` first",
        ),
        "township_missing": (
            "镇街账号须指明负责的区划（--township）",
            "a township's account needs a division (--township)",
        ),
        "township_form": (
            "区划须为 6 至 12 位数字，且属于本局负责的县",
            "a division is 6 to 12 digits within the bureau's counties",
        ),
    },
    "account_state": {
        "proposed": ("待复核", "proposed"),
        "active": ("使用中", "active"),
        "closed": ("已关闭", "closed"),
    },
    "password_weak": {
        "short": ("不足 12 个字符", "fewer than 12 characters"),
        "long": ("太长", "too long"),
        "guessable": ("与账号名或原口令相同，或反复重复", "it repeats itself, the account's name or the present one"),
    },
    "hit_rate_low": {
        "list": ("整份清单", "the whole list"),
        "new": ("首次查询的客户", "those asked for the first time"),
    },
    "image_refused": {
        "empty": ("文件是空的", "the file is empty"),
        "too_large": ("文件过大", "the file is too large"),
        "not_an_image": ("不是 JPEG 或 PNG 图片", "neither JPEG nor PNG"),
        "too_many_pixels": ("像素过多", "too many pixels"),
        "damaged": ("图片已损坏", "the image is damaged"),
    },
    "visit_incomplete": {
        "form": ("信息采集表", "the form"),
        "place": ("定位", "the place"),
        "photo": ("照片", "a photo"),
        "signature_applicant": ("申请人签字", "the applicant's signature"),
        "signature_manager": ("客户经理签字", "the manager's signature"),
        "signature_officer": ("网格员签字", "the grid officer's signature"),
    },
    "visit_not_plannable": {
        "attempts": ("走访次数已用完", "no attempt is left"),
        "gone": ("已迁出或死亡", "moved away or died"),
    },
    "manager_unsuitable": {
        "unknown": ("没有这个在用账号", "no active account has this name"),
        "role": ("该账号不做走访", "the account makes no visits"),
        "township": ("不在其乡镇范围内", "not in its townships"),
        "bank": ("不是该行的客户", "no customer of that bank"),
    },
    "contract_dates_invalid": {
        "starts_before_signing": ("起息早于签订", "interest begins before the signing"),
        "ends_before_start": ("到期不晚于起息", "it ends before it begins"),
        "repaid_outside": ("还款日不在贷款期内", "a repayment is not within the loan"),
    },
    "loan_span_invalid": {
        "before_start": ("早于起息日", "before the loan began"),
        "not_overdue": ("目前没有逾期", "it is not overdue"),
        "not_later": ("展期到期日须晚于原到期日", "an extension ends later than before"),
        "ends_before_start": ("结束须晚于开始", "it must end after it began"),
    },
    "remark_missing": {
        "verdict": ("退回和恢复须说明原因", "a return or a resumption says why"),
        "against_assessment": ("与准入判定不一致", "it goes against the assessment"),
        "send_back": ("退回提出人", "it goes back to whoever proposed it"),
        "objection": ("申诉或异议的内容", "what the appeal or objection says"),
    },
    "evidence_changed": {
        "visit_id": ("走访", "the visit"),
        "form_digest": ("信息采集表", "the form"),
        "facts": ("准入事实", "the facts"),
        "proposal": ("提出的决定本身", "the proposal itself"),
    },
    "confirmation_runs": {
        "days": ("异议期", "the days for objections"),
        "sms": ("短信或其他方式告知", "telling the family"),
        "village": ("村小组评议", "the village group's word"),
    },
    "conflict_unsettled": {
        "person_in_two_households": ("一人两户", "one person in two households"),
        "labels_differ": ("标签不一致", "labels differ"),
        "too_many_members": ("人数多于家庭人数", "more people than its size"),
        "two_names_for_one_number": ("一号两名", "two names for one number"),
        "label_changed": ("标签有变", "the label changed"),
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
    words_of = _words_of_states(params) if code == "move_invalid" else WORDS_OF.get(code, {})
    known = {value: say(*words) for value, words in words_of.items()}
    spoken = {name: _spoken(value, known) for name, value in params.items()}
    words = defaultdict(str, {**spoken, "detail": detail})
    return say(message.zh, message.en).format_map(words), say(message.next_zh, message.next_en).format_map(words)


def _words_of_states(params: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Of the machine whose move was refused: one state's name may mean different things to two machines."""
    things = {"household": "家庭", "visit": "走访", "loan": "贷款", "subsidy": "贴息", "claim": "申报"}
    found = [machine for machine in MACHINES if machine.name == params.get("what")]
    states = {state: (word, state) for machine in found for state, word in machine.words.items()}
    return states | {machine.name: (things[machine.name], machine.name) for machine in found}


def _spoken(value: object, known: Mapping[str, str]) -> object:
    """A param in words: a name that has words of its own, or a list of such names."""
    if isinstance(value, list) and value and all(isinstance(item, str) and item in known for item in value):
        return say("、", ", ").join(known[item] for item in value)
    return known.get(value, value) if isinstance(value, str) else value


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
