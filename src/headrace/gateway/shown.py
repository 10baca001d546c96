"""What of a failure a client is told: everything, or what its own users may read.

Failures of deployments name hosts, ports, providers and settings. Who holds an administrator's key
has to know them; other keys belong to programs that may show an error to anybody. They get the same
code and status in words of ours, and the log has the rest under the request's id.

Not covered: refusals of a request (400): what a provider says of a field is for whoever wrote it.
"""

import logging

from headrace.access.limits.errors import LimitExceeded
from headrace.access.principal import Principal
from headrace.errors import HeadraceError
from headrace.models.balance.errors import Overloaded
from headrace.models.errors import DeploymentThrottled

__all__ = ["shown_to"]

_log = logging.getLogger(__name__)

_WORDS = {
    "deployment_misconfigured": "the model cannot be reached as this service is set up",
    "invalid_config": "this service is not set up as it has to be",
    "limits_unavailable": "this service cannot tell at the moment what may be used",
    "model_timeout": "the model did not answer in time",
    "model_unavailable": "the model cannot answer at the moment",
    "no_deployment": "nobody is left who may answer this request",
    "overloaded": "the model takes no more calls at the moment",
    "rate_limit_exceeded": "the model takes no more requests at the moment",
    "state_unusable": "this service cannot keep what it has to keep at the moment",
    "weights_unavailable": "the model cannot be loaded",
}


def shown_to(principal: Principal | None, error: HeadraceError, request_id: str) -> HeadraceError:
    """The error in the words that this client may read.

    Args:
        principal: who asks; None where nobody knows yet.
    """
    if principal is not None and principal.is_admin:
        return error
    words = _WORDS.get(error.code)
    if words is None or isinstance(error, LimitExceeded):  # its own limits are its own business
        return error
    _log.warning("request %s: %s: %s", request_id, error.code, error.message)
    hint = f"try again in a moment; the service's log has the reason under {request_id}"
    if isinstance(error, Overloaded):
        return Overloaded(words, hint=hint, retry_after_s=error.retry_after_s)
    if isinstance(error, DeploymentThrottled):
        return DeploymentThrottled(words, hint=hint, retry_after_s=error.retry_after_s)
    return type(error)(words, hint=hint)
