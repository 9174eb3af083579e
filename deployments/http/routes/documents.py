"""Private documents: upload, list, delete."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from deployments.http.schemas.all import LearningFile, LearningFiles, Uploaded, UploadError, call_errors, upload_errors
from deployments.http.services import Services
from deployments.http.uploads import form_schema, uploaded_file
from pipelines.contracts.errors import NotFound

DOCUMENTS = "txt, docx or pdf"
MOST_CATEGORY_CHARACTERS = 256


Category = Annotated[str, Query(min_length=1, max_length=MOST_CATEGORY_CHARACTERS, description="Data category")]


def router(services: Services) -> APIRouter:
    """`/uploadFile/*`."""
    routes = APIRouter(tags=["Documents"])
    knowledge, settings = services.caller.handles.knowledge, services.settings

    @routes.post(
        "/uploadFile/uploadLearningFile",
        openapi_extra=form_schema("fileToUpload"),
        responses=upload_errors(UploadError),
    )
    async def upload_learning_file(request: Request, response: Response, category: Category) -> Uploaded:
        """Add a document to a category: when this answers, it is durable and searchable."""
        upload = uploaded_file(
            services,
            request,
            field="fileToUpload",
            family="document",
            max_bytes=settings.max_document_bytes,
            wanted=DOCUMENTS,
        )
        async with upload as file:
            with await services.caller.call(knowledge.ingest, file.source, file.received.sha256, category) as call:
                await call.result()
                response.headers.update(call.headers())
        return Uploaded(result=True)

    @routes.get("/uploadFile/learningFiles", responses=call_errors(UploadError))
    async def learning_files(category: Category) -> LearningFiles:
        """List a category's documents."""
        records = await services.caller.ask(knowledge.documents, category)
        return LearningFiles(result=True, data=[LearningFile(**vars(record)) for record in records])

    @routes.delete("/uploadFile/learningFile", responses=call_errors(UploadError, 404))
    async def delete_learning_file(
        category: Category, document_id: Annotated[str, Query(alias="id", min_length=1, max_length=128)]
    ) -> Uploaded:
        """Remove one document from a category."""
        if not await services.caller.ask(knowledge.delete, category, document_id):
            raise NotFound("There is no such document in this category.")
        return Uploaded(result=True)

    return routes
