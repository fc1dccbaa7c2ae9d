/**
 * `/openapi.json` and `/docs`: the description of all rooms of this server, made when a client first asks for it.
 */
import type { Layer } from "effect"
import { Effect } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"
import { about, server } from "../api/api.ts"
import { json } from "./exchange.ts"
import { Router } from "./router.ts"

export const docs: Layer.Layer<never, never, Router> = Router.room(
  Effect.gen(function*() {
    const router = yield* Router
    const api = yield* Effect.cached(
      Effect.map(router.rooms, (rooms) => {
        const groups = rooms.flatMap(({ describe = () => [] }) => describe())
        return HttpApi.make("durable-streams").add(server, ...groups).annotateMerge(about)
      })
    )
    const description = yield* Effect.cached(Effect.map(api, (api) => JSON.stringify(OpenApi.fromApi(api))))
    // The page's script is larger than the rest of the server: the server reads it when a client first asks.
    const page = yield* Effect.cached(
      Effect.flatMap(
        Effect.zip(api, Effect.promise(() => import("./docs-page.ts"))),
        ([api, { renderDocsPage }]) => renderDocsPage(api)
      )
    )
    return {
      routes: [
        { method: "GET", path: "/openapi.json", handle: () => Effect.map(description, (text) => json(200, text)) },
        { method: "GET", path: "/docs", handle: () => page }
      ]
    }
  })
)
