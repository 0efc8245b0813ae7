"""Errors as pages: what happened, what to do, and a number to quote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.bureau.problems import describe_problem
from api.console.language import language_of, mark, say
from api.console.rendering import render
from api.console.sections import BY_PATH
from api.console.sessions import FormNotOurs
from api.problems import Kind, Problem
from api.words import MESSAGES, explain_code
from matcher.bureau.actors import PERMISSION_WORDS, NotAllowed

_FORM_NOT_OURS = Kind(403, "The form comes from elsewhere")
_ELSEWHERE = re.compile(r"docs/|--[a-z]|[a-z]+ [a-z]")
"""What a next step (in Chinese) names that is nothing in a browser: files of the repository, options, commands."""
_ENGLISH = "{detail}"
_OF_THE_PROTOCOL = frozenset({"too_large"})
"""Codes whose sentence is of a batch between machines, where a page means a form."""

_WORDS: Mapping[int, tuple[str, str, str]] = {
    400: (mark("请求无法读取"), mark("浏览器送来的内容不完整或有误。"), mark("请返回上一页，再试一次。")),
    401: (
        mark("登录已结束"),
        mark("太久没有操作，或已退出；这次没有办成。"),
        mark("请在另一窗口登录，再回来重新提交。"),
    ),
    403: (mark("没有权限"), mark("这个账号不能打开此页，或不能办理此事。"), mark("如工作需要，请联系管理员调整账号。")),
    404: (mark("没有这一页"), mark("地址有误，或所指的内容已不存在。"), mark("请从导航进入。")),
    408: (mark("发送超时"), mark("内容没有在规定时间内送达。"), mark("请检查网络后再试。")),
    409: (mark("目前不能这样办理"), mark("可能已有人先办理，或状态已改变。"), mark("请刷新后按当前状态办理。")),
    413: (
        mark("内容过大"),
        mark("上传的内容超过限制：文件 16 MB，文字 1 MB。没有任何改动。"),
        mark("请返回上一页，把文件分成几份再传。"),
    ),
    415: (mark("格式不符"), mark("这里不接受这种格式的内容。"), mark("请返回上一页，用页面上的表单提交。")),
    422: (mark("填写的内容不可用"), mark("有内容缺失或不合要求。"), mark("请返回上一页更正。")),
    500: (mark("系统出错"), mark("这次操作没有完成，错误已记录。"), mark("请稍后再试；若仍出错，请报下面的编号。")),
    503: (mark("系统正忙"), mark("暂时无法处理，没有任何改动。"), mark("请稍后再试。")),
}
"""Title, what happened, what next."""


def describe_page_problem(error: BaseException) -> Problem:
    """As for the JSON interface; a form from elsewhere is the console's own."""
    if isinstance(error, FormNotOurs):
        return Problem(error.code, _FORM_NOT_OURS, {}, {})
    return describe_problem(error)


def error_page(problem: Problem, request_id: str, scope: Scope) -> Response:
    request = Request(scope)
    title, what, following = (say(request, words) for words in _WORDS.get(problem.kind.status, _WORDS[500]))
    own_what, own_following = words_of_problem(request, problem.code, problem.members)
    return render(
        request,
        "error.html",
        title=title,
        status=problem.kind.status,
        headers=problem.headers,
        words=own_what or what,
        next_step=own_following or following,
        request_id=request_id,
        may_ask=False,
    )


def words_of_problem(request: Request, code: str, members: Mapping[str, Any]) -> tuple[str, str]:
    """What happened and what next in the error's own words; empty where it has none that help in a browser."""
    params = members.get("params")
    if (
        code in _OF_THE_PROTOCOL
        or code not in MESSAGES
        or _ENGLISH in MESSAGES[code].zh
        or (code != "form_not_ours" and params is None)
    ):
        return "", ""
    if code == NotAllowed.code and params:
        params = {**params, "permission": _name_of(request, str(params.get("permission", "")))}
    what, following = explain_code(code, str(members.get("detail", "")), params or {}, language_of(request))
    return what, "" if _ELSEWHERE.search(MESSAGES[code].next_zh) else following


def _name_of(request: Request, permission: str) -> str:
    """A permission or a section in words."""
    if permission in BY_PATH:
        return say(request, BY_PATH[permission].title)
    words = {known.value: both for known, both in PERMISSION_WORDS.items()}.get(permission)
    return permission if words is None else words[language_of(request) == "en"]
