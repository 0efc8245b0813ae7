"""Errors as pages: what happened, what to do, and a number to quote."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from api.bureau.problems import describe_problem
from api.console.language import language_of, translations
from api.console.rendering import render
from api.console.sessions import FormNotOurs
from api.problems import Kind, Problem

_FORM_NOT_OURS = Kind(403, "The form comes from elsewhere")

_WORDS: dict[int, tuple[str, str, str]] = {
    400: ("请求无法读取", "浏览器送来的内容不完整或有误。", "请返回上一页，再试一次。"),
    403: ("没有权限", "这个账号不能打开此页，或不能办理此事。", "如工作需要，请联系管理员调整账号。"),
    404: ("没有这一页", "地址有误，或所指的内容已不存在。", "请从导航进入。"),
    408: ("发送超时", "内容没有在规定时间内送达。", "请检查网络后再试。"),
    409: ("目前不能这样办理", "可能已有人先办理，或状态已改变。", "请刷新后按当前状态办理。"),
    413: ("内容过大", "上传的内容超过限制。", "请缩小后再传。"),
    415: ("格式不符", "这里不接受这种格式的内容。", "请返回上一页，用页面上的表单提交。"),
    422: ("填写的内容不可用", "有内容缺失或不合要求。", "请返回上一页更正。"),
    500: ("系统出错", "这次操作没有完成，错误已记录。", "请稍后再试；若仍出错，请报下面的编号。"),
    503: ("系统正忙", "暂时无法处理，没有任何改动。", "请稍后再试。"),
}
"""Title, what happened, what next; in Chinese, the catalogue has the English."""


def describe_page_problem(error: BaseException) -> Problem:
    """As for the JSON interface; a form from elsewhere is the console's own."""
    if isinstance(error, FormNotOurs):
        return Problem(error.code, _FORM_NOT_OURS, {}, {})
    return describe_problem(error)


def error_page(problem: Problem, request_id: str, scope: Scope) -> Response:
    request = Request(scope)
    say = translations(language_of(request)).gettext
    title, words, next_step = _WORDS.get(problem.kind.status, _WORDS[500])
    return render(
        request,
        "error.html",
        title=say(title),
        status=problem.kind.status,
        headers=problem.headers,
        words=say(words),
        next_step=say(next_step),
        request_id=request_id,
    )
