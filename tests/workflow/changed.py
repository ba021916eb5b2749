"""A workflow that was changed carelessly, in a module of its own: the sandbox loads it again."""

from temporalio import workflow


@workflow.defn(name="InvoiceClose")
class ChangedInvoiceClose:
    """An InvoiceClose that does other things in another order."""

    @workflow.run
    async def run(self, _state: dict[str, str]) -> str:
        await workflow.sleep(1)
        return "changed"
