/**
 * The page that shows the API document, from Effect's copy of Scalar: no other host is asked for anything.
 */
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import type { HttpApi, HttpApiGroup } from "effect/http-api"
import { HttpApiScalar } from "effect/http-api"
import type { Answer } from "../http/exchange.ts"

/** The page's answer for an API. Rendering takes some 100 ms: a server does it once. */
export const renderDocsPage = (api: HttpApi.HttpApi<string, HttpApiGroup.Constraint>): Effect.Effect<Answer> =>
  Effect.map(Effect.promise(() => render(api)), (body) => ({ status: 200, headers, body }))

const render = async (api: HttpApi.HttpApi<string, HttpApiGroup.Constraint>) => {
  const { dispose, handler } = HttpRouter.toWebHandler(
    HttpApiScalar.layer(api as HttpApi.HttpApi<string, HttpApiGroup.Constraint>, {
      path: "/docs",
      scalar: { withDefaultFonts: false }
    }),
    { disableLogger: true }
  )
  const html = await (await handler(new Request("http://localhost/docs"))).text()
  await dispose()
  // As bytes: Node would encode a text anew for each answer.
  return Buffer.from(html)
}

const headers = {
  "content-type": "text/html; charset=utf-8",
  // The page is one file, and needs nothing from any other address.
  "content-security-policy":
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; " +
    "font-src data:; connect-src 'self'; worker-src blob:"
}
