/**
 * The answer of `GET /streams`, read name by name as it arrives: however many there are, one is held. Browser-safe.
 */
import { Array as Arr, Effect, Stream } from "effect"
import { nameCharactersMax } from "./answer-bounds.ts"

/** The names in `{"streams":["a","b"]}`; fails with `malformed` for a text that is anything else, or not whole. */
export const namesOf = <E>(text: Stream.Stream<string, E>, malformed: () => E): Stream.Stream<string, E> =>
  Stream.suspend(() => {
    let place: "before" | "names" | "behind" = "before"
    let rest = ""
    const take = (part: string): ReadonlyArray<string> | undefined => {
      rest += part
      const names: Array<string> = []
      let from = 0
      if (place === "before") {
        const head = /^\s*\{\s*"streams"\s*:\s*\[/.exec(rest)
        if (head === null) return rest.length > headCharactersMax ? undefined : names
        from = head[0].length
        place = "names"
      }
      while (place === "names") {
        nextToken.lastIndex = from
        const [token] = nextToken.exec(rest)!
        from += token.length
        if (from === rest.length) break
        if (rest[from] === "]") {
          from++
          place = "behind"
          break
        }
        if (rest[from] !== "\"") return undefined
        const end = endOfString(rest, from)
        if (end < 0) break
        const name = parsed(rest.slice(from, end))
        if (name === undefined) return undefined
        names.push(name)
        from = end
      }
      rest = rest.slice(from)
      return rest.length > nameCharactersMax ? undefined : names
    }
    return text.pipe(
      Stream.mapEffect((part) => {
        const names = take(part)
        return names === undefined ? Effect.fail(malformed()) : Effect.succeed(names)
      }),
      Stream.concat(
        Stream.fromEffect(
          Effect.suspend(() =>
            place === "behind" && /^\s*\}\s*$/.test(rest) ? Effect.succeed([]) : Effect.fail(malformed())
          )
        )
      ),
      Stream.filter(Arr.isReadonlyArrayNonEmpty),
      Stream.flattenArray
    )
  })

/** More than anybody writes in front of the first name. */
const headCharactersMax = 1024

const nextToken = /[\s,]*/y

/** The place behind the string that begins at `from`; -1 when its end is not there yet. */
const endOfString = (text: string, from: number): number => {
  for (let at = text.indexOf("\"", from + 1); at >= 0; at = text.indexOf("\"", at + 1)) {
    let escapes = 0
    while (text[at - 1 - escapes] === "\\") escapes++
    if (escapes % 2 === 0) return at + 1
  }
  return -1
}

const parsed = (text: string): string | undefined => {
  try {
    return String(JSON.parse(text))
  } catch {
    return undefined
  }
}
