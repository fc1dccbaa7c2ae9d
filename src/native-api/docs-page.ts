/**
 * The page that shows the API document, from Effect's copy of Scalar: no other host is asked for anything.
 */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiScalar } from "effect/http-api"
import { Api } from "../api/api.ts"
import type { Answer } from "../http/exchange.ts"

/** Fetched once, kept for the life of the process. */
let page: Promise<Uint8Array> | undefined

const render = async () => {
  const { dispose, handler } = HttpRouter.toWebHandler(
    HttpApiScalar.layer(Api, { path: "/docs", scalar: { withDefaultFonts: false } }),
    { disableLogger: true }
  )
  const html = await (await handler(new Request("http://localhost/docs"))).text()
  await dispose()
  // As bytes: a text would be made into them anew for everybody.
  return Buffer.from(html)
}

export const docsPage: Effect.Effect<Answer> = Effect.map(
  Effect.promise(() => page ??= render()),
  (body) => ({
    status: 200,
    headers: {
      "content-type": "text/html; charset=utf-8",
      // The page is one file; whatever else it might ask for is not there.
      "content-security-policy":
        "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; " +
        "font-src data:; connect-src 'self'; worker-src blob:"
    },
    body
  })
)
