"""Private documents: upload, list, delete."""

from typing import Annotated

from fastapi import Query, Request, Response

from deployments.http import families
from deployments.http.families import CALL_ERRORS, UPLOAD_ERRORS
from deployments.http.schemas.documents import LearningFile, LearningFiles, Uploaded
from deployments.http.services import PrincipalDep, Services, ServicesDep, needs
from deployments.http.uploads import DOCUMENT, form_file
from deployments.principals.limits import QUOTA_RETRY_S, QuotaExceeded
from deployments.principals.principal import Principal
from pipelines.contracts.errors import NotFound

MAX_CATEGORY_CHARACTERS = 256

Category = Annotated[str, Query(min_length=1, max_length=MAX_CATEGORY_CHARACTERS, description="Data category")]
Owner = Annotated[str | None, Query(max_length=255, description="Whose category it is, if it is shared")]
DocumentId = Annotated[str, Query(alias="id", min_length=1, max_length=128)]

router = families.DOCUMENTS.router("Documents", dependencies=[needs("knowledge")])


@router.post(
    "/uploadLearningFile",
    openapi_extra=DOCUMENT.form_schema(),
    responses=families.DOCUMENTS.errors(*UPLOAD_ERRORS, 404),
)
async def upload_learning_file(
    services: ServicesDep,
    principal: PrincipalDep,
    request: Request,
    response: Response,
    *,
    category: Category,
    owner: Owner = None,
) -> Uploaded:
    """Add a document to a category, or its new version: once this answers, it is durable and searchable."""
    ingest = services.caller.handles.knowledge.ingest
    whose = services.registry.owner_of(principal, owner, category, "write")
    async with form_file(services, request, DOCUMENT) as upload:
        await _check_room(services, whose, upload.received.size)
        with await services.caller.call(ingest, upload.source, upload.received.sha256, whose.name, category) as call:
            await call.result()
            response.headers.update(call.headers())
    return Uploaded(result=True)


@router.get("/learningFiles", responses=families.DOCUMENTS.errors(*CALL_ERRORS, 404))
async def learning_files(
    services: ServicesDep, principal: PrincipalDep, category: Category, owner: Owner = None
) -> LearningFiles:
    """List a category's documents, oldest first."""
    whose = services.registry.owner_of(principal, owner, category, "read")
    records = await services.caller.ask(services.caller.handles.knowledge.documents, whose.name, category)
    return LearningFiles(result=True, data=[LearningFile(**vars(record)) for record in records])


@router.delete("/learningFile", responses=families.DOCUMENTS.errors(*CALL_ERRORS, 404))
async def delete_learning_file(
    services: ServicesDep, principal: PrincipalDep, category: Category, document_id: DocumentId, owner: Owner = None
) -> Uploaded:
    """Remove one document from a category."""
    delete = services.caller.handles.knowledge.delete
    whose = services.registry.owner_of(principal, owner, category, "write")
    if not await services.caller.ask(delete, whose.name, category, document_id):
        raise NotFound("There is no such document in this category.")
    return Uploaded(result=True)


async def _check_room(services: Services, owner: Principal, size: int) -> None:
    limit = owner.limits.bytes_stored
    if limit is None:
        return
    stored: int = await services.caller.ask(services.caller.handles.knowledge.stored_bytes, owner.name)
    if stored + size > limit:
        raise QuotaExceeded(f"The documents would exceed the limit of {limit:,} bytes; delete some.", QUOTA_RETRY_S)
