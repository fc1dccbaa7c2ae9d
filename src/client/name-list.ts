/**
 * Reads the answer of `GET /streams` name by name as it arrives: it holds one name, however many there are. Browser-safe.
 */
import { Array as Arr, Effect, Stream } from "effect"
import { nameCharactersMax } from "./answer-bounds.ts"

/** The names in `{"streams":["a","b"]}`; fails with `malformed` for any other text, and for one that is not whole. */
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
        const name = parseString(rest.slice(from, end))
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

/** More than any server writes in front of the first name. */
const headCharactersMax = 1024

const nextToken = /[\s,]*/y

/** The place behind the string that begins at `from`; -1 if its end has not arrived yet. */
const endOfString = (text: string, from: number): number => {
  for (let at = text.indexOf("\"", from + 1); at >= 0; at = text.indexOf("\"", at + 1)) {
    let escapes = 0
    while (text[at - 1 - escapes] === "\\") escapes++
    if (escapes % 2 === 0) return at + 1
  }
  return -1
}

const parseString = (text: string): string | undefined => {
  try {
    return String(JSON.parse(text))
  } catch {
    return undefined
  }
}
