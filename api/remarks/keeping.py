"""Remarks on keys, stores, backups and a home's own settings (keys/, matcher/keeping, matcher/personal)."""

from __future__ import annotations

from collections.abc import Mapping

KEEPING: Mapping[str, str] = {
    # the key-encryption key
    "a key-encryption key is file:PATH, env:NAME or passphrase": "密钥加密密钥写作 file:路径、env:变量名 或 passphrase",
    "key file: {}": "密钥文件打不开（{0}）",
    "key file is not a regular file": "密钥文件不是普通文件",
    "key file is open to group or others": "同组或其他用户有权限",
    "key file holds neither 32 bytes nor 64 hex digits": "密钥文件须为 32 字节，或 64 位十六进制",
    "environment variable is not set": "没有设置环境变量",
    "environment variable does not hold 64 hex digits": "环境变量不是 64 位十六进制",
    # shares
    "a secret to be shared has 16 to 4,096 bytes": "要拆分的内容须为 16 至 4,096 字节",
    "2 <= threshold <= shares <= {}": "恢复所需的份数至少 2、不超过总份数，总份数至多 {0}",
    "not a share": "不是密钥份额",
    "not of format {}": "格式不是 {0}",
    "a digit was copied wrong": "有一位抄错了",
    "its numbers do not fit": "份额的编号或份数不合理",
    # epochs and their keys
    "{} is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit": "{0}须为 1 至 63 个小写字母、数字或 . _ -，"
    "以字母或数字开头",
    "a purpose is up to 63 of a-z 0-9 - and space": "用途至多 63 个小写字母、数字、空格或 -",
    "a division of receipts is 6 digits": "凭据的区划须为 6 位数字",
    "an epoch begins before it ends": "密钥期的开始须早于结束",
    "destroying a key needs a reason": "销毁密钥须说明理由",
    "7 <= overlap_days <= create_days < period_days <= 1100 must hold": "须满足 7 ≤ overlap_days ≤ create_days"
    " < period_days ≤ 1100",
    "retain_days is 0 to 3650": "retain_days 须为 0 至 3650",
    "not a mingce-destruction/1 record": "不是 mingce-destruction/1 记录",
    "not a destruction record: {}": "不是密钥销毁记录（{0}）",
    "the keys are for another bureau": "是给另一家财政局的",
    "not a file of receipt keys: {}": "内容不是凭据密钥（{0}）",
    # sealed files and data
    "not a sealed file": "不是加密文件",
    "the sealed file is cut": "文件不完整",
    "the sealed file goes on after its end": "文件末尾有多余内容",
    "a chunk does not open": "有一段打不开",
    "a sealed column does not open": "有加密的列打不开",
    "an attachment's file is gone": "附件的文件不在了",
    # the database
    "the disk failed; this process has to be started anew": "磁盘出过错，须重新启动本进程",
    "the write-ahead log cannot be used": "预写日志（-wal）不能使用",
    "cannot be copied: {}": "无法复制：{0}",
    # backups
    "a backup key has a name of 1 to 100 characters": "备份密钥的名称须为 1 至 100 个字",
    "not a backup key: {}": "内容不是备份密钥（{0}）",
    "not a file of format {}": "格式不是 {0}",
    "not hexadecimal": "不是十六进制",
    "not hexadecimal of the right length": "不是应有长度的十六进制",
    "the public half opens nothing": "这是公钥，打不开备份",
    "not a backup": "不是备份文件",
    "the backup is cut": "文件不完整",
    "its file key does not open": "文件密钥打不开",
    "not the archive of a backup": "内容不是备份的归档",
    "holds what no backup holds": "含有备份里不会有的内容",
    "goes on after its end": "末尾有多余内容",
    "has no list of its files": "缺少文件目录",
    "its list cannot be read: {}": "文件目录读不了（{0}）",
    "the files are not those of its list": "文件与目录不符",
    "a file's name leads out of the home": "有文件名指向目录之外",
    "a file's name cannot be one": "有文件名不合规",
    "settling a restore needs a reason": "处置恢复须说明理由",
    # chains of audit, purges, retention
    "not a head of an audit chain": "内容不是链头",
    "not a mingce-audit-head/1 document of this home": "不是本目录的 mingce-audit-head/1 文件",
    "not the number and hash of a row": "不是某一行的行号和摘要",
    "not the chain of this home, or a row out of its order": "不是这个单位的审计链，或有行不按次序",
    "not a line of an exported chain": "不是导出的审计链里的行",
    "not a record of a purge": "不是清除记录",
    "not a mingce-purge/1 record of this home": "不是本目录的 mingce-purge/1 记录",
    "kinds is no list, or kept no object": "kinds 不是列表，或 kept 不是对象",
    "not a count": "数目不合规",
    "a period is 1 to 36,500 days": "保存期限须为 1 至 36,500 天",
    # certificates and where a service listens
    "client_cert and client_key belong together": "client_cert 和 client_key 须同时设置",
    "tls_cert and tls_key belong together": "tls_cert 和 tls_key 须同时设置",
    "client_ca needs tls_cert and tls_key": "设置 client_ca 时，须同时设置 tls_cert 和 tls_key",
    "either a proxy ends TLS or this server does": "TLS 只能由代理或本服务之一处理",
    "client certificates are required, but nobody asks for them": "要求客户端证书，却没有设置由谁查验",
    "beyond loopback only with TLS": "本机以外的地址须加密（TLS）",
    "behind a proxy only loopback or a unix socket is listened on": "在代理之后，只能监听本机地址或 unix 套接字",
    "the CA file cannot be read": "CA 证书文件读不了",
    "not an X.509 certificate ({})": "不是 X.509 证书（{0}）",
    "a certificate's key is named by 64 hex digits": "证书的密钥用 64 位十六进制指明",
}
