"""What the operating system, SQLite and the network say most often. The rest stays as it comes, in quotes."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

SYSTEM: Mapping[str, str] = {
    os.strerror(errno.ENOSPC): "磁盘已满",
    os.strerror(errno.EDQUOT): "磁盘配额已用完",
    os.strerror(errno.EROFS): "磁盘只读",
    os.strerror(errno.EIO): "磁盘读写出错",
    os.strerror(errno.EACCES): "没有权限",
    os.strerror(errno.EPERM): "不允许这样操作",
    os.strerror(errno.ENOENT): "没有这个文件或目录",
    os.strerror(errno.EEXIST): "文件已存在",
    os.strerror(errno.EISDIR): "这是目录，不是文件",
    os.strerror(errno.ENOTDIR): "路径中有一段不是目录",
    os.strerror(errno.EFBIG): "文件过大",
    os.strerror(errno.EMFILE): "打开的文件过多",
    os.strerror(errno.ENAMETOOLONG): "文件名过长",
    os.strerror(errno.ECONNREFUSED): "连接被拒绝",
    os.strerror(errno.ECONNRESET): "连接被对方中断",
    os.strerror(errno.ENETUNREACH): "网络不通",
    os.strerror(errno.EHOSTUNREACH): "到不了这台主机",
    os.strerror(errno.ETIMEDOUT): "连接超时",
    os.strerror(errno.EADDRINUSE): "地址已被占用",
    os.strerror(errno.EADDRNOTAVAIL): "本机没有这个地址",
    "[Errno {}] {}": "{1}",
    "[Errno {}] {}: {}": "{1}（{2}）",
    # SQLite
    "database or disk is full": "磁盘已满",
    "disk I/O error": "磁盘读写出错",
    "attempt to write a readonly database": "数据库只读",
    "unable to open database file": "数据库文件打不开",
    # the network, by Python and httpx
    "timed out": "超时",
    "Name or service not known": "找不到这个域名",
    "Temporary failure in name resolution": "域名暂时无法解析",
    "Server disconnected without sending a response.": "对方没有应答就断开了",
}
