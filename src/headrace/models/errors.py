"""Failures of the model box.

HeadraceError
├── InvalidRequest
│   └── NotOffered              this protocol has no words for it: another model's may
├── WeightsUnavailable          the weights cannot be fetched, or are not the expected ones
│   └── AdapterUnusable         an adapter is another base's, or none
└── ModelUnavailable            a deployment is down or broke off: another may be tried
    ├── DeploymentThrottled     it said 429, or has no room; when to come back
    ├── DeploymentMisconfigured it refused our key, has no such model, or wants to be paid
    └── DeploymentTimeout       it did not begin, or did not go on, in time
"""

from headrace.errors import HeadraceError, InvalidRequest, ModelUnavailable

__all__ = [
    "AdapterUnusable",
    "DeploymentMisconfigured",
    "DeploymentThrottled",
    "DeploymentTimeout",
    "NotOffered",
    "WeightsUnavailable",
]


class NotOffered(InvalidRequest):
    """The protocol of a deployment has no words for what is asked; that of another one may."""


class WeightsUnavailable(HeadraceError):
    """The weights cannot be had: offline, not found, no space, or a checksum differs."""

    code = "weights_unavailable"


class AdapterUnusable(WeightsUnavailable):
    """A file is no LoRA adapter, or was trained on other weights than those it is to sit on."""


class DeploymentThrottled(ModelUnavailable):
    """A deployment takes no more at the moment; `retry_after_s` is None where it did not say."""

    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.retry_after_s = retry_after_s


class DeploymentMisconfigured(ModelUnavailable):
    """A deployment refuses this service, whatever is asked: its key, address or model is wrong.

    The hint says what to mend; the message never holds the key.
    """

    code = "deployment_misconfigured"


class DeploymentTimeout(ModelUnavailable):
    """A deployment accepted a request and then stayed silent for too long."""

    code = "model_timeout"
