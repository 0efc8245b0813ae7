"""What the doctor's findings say to a person, and what to do about each. Codes of errors have theirs in api/words.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.language import chosen
from scripts.messages import explain_code


@dataclass(frozen=True)
class Advice:
    """What is found, and what to do, in both languages; ``{…}`` are a finding's params."""

    zh: str
    en: str
    zh_next: str
    en_next: str


ADVICE: dict[str, Advice] = {
    # host
    "backend_slow": Advice("运算内核用的是最慢的实现（{backend}），而处理器有更快的指令", "The kernel uses its slowest backend ({backend}) though the processor has vectors", "取消环境变量 MINGCE_BACKEND，或重新安装。", "Unset MINGCE_BACKEND, or install again."),
    "clock_behind": Advice("时钟落后：库里已有 {recorded} 的记录，现在却是 {now}", "The clock is behind: a record of {recorded} is there, and it is {now}", "先对时（timedatectl、chronyc tracking），再办业务。", "Set the clock (timedatectl, chronyc tracking) before any work."),
    "disk_low": Advice("磁盘空间不足：剩 {free} 字节，需要 {needed}", "The disk is nearly full: {free} bytes are left of the {needed} that are needed", "清理或扩容；不要删除本目录里的文件。", "Make room elsewhere or grow the disk; delete nothing of this home."),
    # folder
    "file_exposed": Advice("{count} 个文件或文件夹可被其他用户访问：{files}", "{count} files or folders are open to others: {files}", "chmod -R go= 该目录。", "chmod -R go= the home."),
    "file_foreign": Advice("{count} 个文件属于另一个用户：{files}", "{count} files belong to another user: {files}", "chown -R 给运行服务的用户；以后不要用 root 运行命令。", "chown -R to the service's user, and do not run commands as root."),
    "file_missing": Advice("配置 {setting} 所指的文件不存在：{file}", "The file of the setting {setting} is not there: {file}", "放回文件，或改 mingce.toml。", "Put it there, or change mingce.toml."),
    "file_unreadable": Advice("读不了 {file}：{reason}", "{file} cannot be read: {reason}", "检查权限和磁盘。", "Check permissions and the disk."),
    "leftovers": Advice("有 {count} 个写了一半的文件：{files}", "{count} half-written files are left: {files}", "没有任务在运行时，下一次同样的任务会自行清理；仍在则检查日志。", "The next run of the same job removes them; if it does not, see its log."),
    "lock_stuck": Advice("锁 {lock} 被同一个进程占用已超过 {hours} 小时", "The lock {lock} has been held by a process for {hours} hours", "查看该任务的日志；确认卡死后结束那个进程，锁随之释放。", "See that job's log; if it hangs, end the process, which frees the lock."),
    "log_large": Advice("数据库日志 {file} 很大（{bytes} 字节）", "The log {file} is large ({bytes} bytes)", "有长时间不结束的读取；重启服务。", "Some reader never ends; restart the service."),
    "staged_list_waits": Advice("名单 {dataset} 导入后 {days} 天没有编码", "The imported list of {dataset} has waited {days} days to be encoded", "运行 mingce province encode、publish，或重新 refresh。", "Run mingce province encode and publish, or refresh."),
    # backup
    "backup_none": Advice("从未备份", "There is no backup", "设置 [backup] recipient，启用备份定时器（docs/how-to/back-up-and-restore.md）；已设置的（如刚恢复），运行 mingce backup create。", "Set [backup] recipient and enable the timer (docs/how-to/back-up-and-restore.md); where both are done (a home just restored), run mingce backup create."),
    "backup_old": Advice("最近的备份是 {at} 的", "The newest backup is of {at}", "运行 mingce backup create，查看备份定时器的日志。", "Run mingce backup create, and see the timer's log."),
    # certificates
    "certificate_unreadable": Advice("证书 {file}（{setting}）读不了", "The certificate {file} ({setting}) cannot be read", "放回 PEM 证书。", "Put a PEM certificate there."),
    "certificate_over": Advice("证书 {file}（{setting}）已于 {end} 到期", "The certificate {file} ({setting}) ended on {end}", "换新证书并重启服务。", "Renew it and restart the service."),
    "certificate_ending": Advice("证书 {file}（{setting}）将于 {end} 到期", "The certificate {file} ({setting}) ends on {end}", "现在就申请新证书。", "Ask for a new one now."),
    "certificate_not_yet": Advice("证书 {file}（{setting}）{begin} 才生效", "The certificate {file} ({setting}) begins on {begin}", "核对时钟和证书。", "Check the clock and the certificate."),
    "certificate_key_unreadable": Advice("证书私钥 {file}（{setting}）读不了", "The private key {file} ({setting}) cannot be read", "放回不加口令的 PEM 私钥，权限 600。", "Put the PEM key there, without a passphrase, mode 600."),
    "certificate_key_differs": Advice("私钥 {file} 不是证书（{setting}）的", "The private key {file} is not that of the certificate ({setting})", "放回成对的证书和私钥。", "Put a matching pair there."),
    # keys
    "identity_differs": Advice("{file} 与密钥库里的身份不一致，或读不了", "{file} is not the identity of the key store, or cannot be read", "从备份取回 identity.json，与对方核对指纹。", "Take identity.json from a backup and compare fingerprints."),
    "epoch_none": Advice("名单 {dataset} 没有在用的密钥期", "The list {dataset} has no active epoch", "mingce keys create-epoch {dataset} 名称 --activate。", "mingce keys create-epoch {dataset} NAME --activate."),
    "epoch_over": Advice("密钥期 {epoch} 已于 {end} 到期，仍未停用", "The epoch {epoch} ended on {end} and is still active", "运行 mingce keys apply，查看轮换定时器。", "Run mingce keys apply, and see the rotation's timer."),
    "epoch_without_successor": Advice("名单 {dataset} 的密钥期 {end} 到期，还没有下一期", "The epoch of {dataset} ends on {end} and has no successor", "运行 mingce keys apply。", "Run mingce keys apply."),
    "epoch_not_destroyed": Advice("密钥期 {epoch} 的保留期已过，密钥仍在", "The key of the expired epoch {epoch} is still there", "运行 mingce keys apply。", "Run mingce keys apply."),
    "destruction_unfinished": Advice("密钥期 {epoch} 已销毁，但文件中可能还有痕迹", "The key of {epoch} is destroyed, but traces may be left in the file", "没有其他进程时再运行 mingce keys apply。", "Run mingce keys apply while nothing else runs."),
    "operators_few": Advice("只有 {found} 位在任经办人，至少要 {needed} 位", "There are {found} active operators; {needed} are needed", "登记另一位（mingce operator register）。", "Register another (mingce operator register)."),
    # store
    "database_missing": Advice("缺少数据库 {file}", "The database {file} is not there", "不要运行会新建它的命令；恢复备份（mingce backup restore）。", "Run nothing that would make a new one; restore a backup (mingce backup restore)."),
    "alarms_waiting": Advice("有 {count} 条警报没有人确认", "{count} alarms wait for somebody", "运行 status 查看并处理（docs/how-to/handle-an-alarm.md）。", "See them with status (docs/how-to/handle-an-alarm.md)."),
    "source_missing": Advice("名单 {dataset} 的来源文件不存在：{file}", "The source of the list {dataset} is not there: {file}", "检查上游导出任务。", "See to the job that delivers it."),
    "edition_none": Advice("名单 {dataset} 的当前密钥期还没有发布版本", "The list {dataset} has no edition in its current epoch", "运行 mingce province refresh。", "Run mingce province refresh."),
    "refresh_late": Advice("名单 {dataset} 的第 {edition} 版是 {at} 发布的，夜间刷新没有按时完成", "Edition {edition} of {dataset} is of {at}: the refresh is late", "查看刷新定时器的日志（docs/how-to/nightly-refresh.md）。", "See the refresh's log (docs/how-to/nightly-refresh.md)."),
    "refresh_stopped": Advice("名单 {dataset} 最近一次成功的更新是 {at}", "The last refresh of {dataset} that succeeded was at {at}", "journalctl -u mingce-refresh -u mingce-changes 写有原因和下一步。", "journalctl -u mingce-refresh -u mingce-changes says why, and what to do."),
    "refresh_failed": Advice("名单 {dataset} 在 {at} 的更新没有做成（{error}）", "The refresh of {dataset} at {at} failed ({error})", "journalctl -u mingce-refresh -u mingce-changes 写有原因和下一步；办好后运行 systemctl start --no-block mingce-refresh（变更清单：mingce-changes），不必等到夜里。", "journalctl -u mingce-refresh -u mingce-changes says why, and what to do; then systemctl start --no-block mingce-refresh (change list: mingce-changes): it need not wait for the night."),
    "refresh_without_file": Advice("名单 {dataset} 在 {at} 要更新时，没有文件 {file}", "When {dataset} was to be refreshed at {at}, there was no file {file}", "查明上游导出为何没有送到；文件到了之后运行 systemctl start --no-block mingce-changes（完整名单：mingce-refresh），不必等到夜里。", "Find out why the export did not come; when the file is there, systemctl start --no-block mingce-changes (whole list: mingce-refresh): it need not wait for the night."),
    "edition_damaged": Advice("名单 {dataset} {epoch} 第 {edition} 版的文件缺失或损坏", "Files of edition {edition} of {dataset} {epoch} are missing or damaged", "停止服务，从备份恢复。", "Stop the service and restore a backup."),
    "budget_low": Advice("{entity} 在 {epoch} 的额度快用完：{used}/{limit}", "The budget of {entity} in {epoch} is nearly used: {used} of {limit}", "核实用途；需要时由两位经办人重新申报。", "Find out why; two operators declare anew if it is due."),
    "budget_day_ahead": Advice("{entity} 的额度日期是未来的 {day}，时钟曾经走快", "The budget of {entity} stands at the future day {day}: the clock was ahead", "核对时钟；重新申报后恢复。", "Check the clock; a new declaration puts it right."),
    "edition_too_old": Advice("名单 {dataset} 的版本是 {at} 采用的，已超过有效期", "The edition of {dataset} adopted on {at} is too old", "运行 mingce bank match，检查与省厅的连接。", "Run mingce bank match, and check the connection to the province."),
    "match_late": Advice("最近一次匹配是 {at}", "The last match was on {at}", "查看匹配定时器的日志。", "See the match's log."),
    "run_broken_off": Advice("匹配任务 {run}（{at}）没有结束", "The run {run} of {at} never ended", "再运行一次 mingce bank match，会从断点继续。", "Run mingce bank match again; it goes on from there."),
    "nightly_late": Advice("指标只算到 {day}", "Figures end with {day}", "运行 mingce bureau nightly，查看夜间定时器的日志。", "Run mingce bureau nightly, and see the timer's log."),
    "attachments_missing": Advice("缺少 {count} 个附件文件，如 {file}", "{count} attachments are missing, such as {file}", "从备份取回 attachments/。", "Take attachments/ from a backup."),
    "administrators_few": Advice("只有 {found} 位在任管理员，至少要 {needed} 位", "There are {found} active administrators; {needed} are needed", "按 docs/how-to/give-people-accounts.md 增加。", "Add one (docs/how-to/give-people-accounts.md)."),
}  # fmt: skip


def advise(code: str, params: Mapping[str, object]) -> tuple[str, str]:
    """What is found and what to do, in the chosen language."""
    if code not in ADVICE:
        return explain_code(code, str(params.get("detail", "")), params)
    advice, filled = ADVICE[code], {name: _plain(value) for name, value in params.items()}
    zh = chosen() == "zh"
    return (advice.zh if zh else advice.en).format_map(filled), (advice.zh_next if zh else advice.en_next).format_map(
        filled
    )


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
