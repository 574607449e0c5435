import type { AdminOperationId, components, operations } from './api-types.d.ts'
import type { CallOptions } from './send.ts'

/** The types of the methods, made of the API's document. */

export type Schemas = components['schemas']
export type OperationId = keyof operations
/** What people and apps call; the rest is in `@thefocus/client/admin`. */
export type PublicOperationId = Exclude<OperationId, AdminOperationId>

type Content<T> = T extends { content: { 'application/json': infer Body } }
  ? Body
  : T extends { content: { 'application/x-www-form-urlencoded': infer Form } }
    ? Form
    : unknown
/** `never` and `undefined` are what the document has where there is nothing. */
type OrNothing<T> = [NonNullable<T>] extends [never] ? unknown : NonNullable<T>
type Body<O> = O extends { requestBody?: infer B } ? OrNothing<Content<NonNullable<B>>> : unknown
type Part<O, Name extends 'path' | 'query'> = O extends { parameters: { [N in Name]?: infer P } }
  ? OrNothing<P>
  : unknown

/** `undefined` is as good as absent, also under exactOptionalPropertyTypes. */
type Lenient<T> = { [K in keyof T]: object extends Pick<T, K> ? T[K] | undefined : T[K] }

/** What an operation takes: its path's parts, query and body, together. */
export type Input<Id extends OperationId> = Lenient<
  Part<operations[Id], 'path'> & Part<operations[Id], 'query'> & Body<operations[Id]>
>

type Success<O> = O extends { responses: infer R } ? R[keyof R] : never
type Json<T> = T extends { content: { 'application/json': infer Value } }
  ? Value
  : T extends { content?: never }
    ? undefined
    : never
/** What it answers. */
export type Output<Id extends OperationId> = Json<Success<operations[Id]>>

type IsPage<Id extends OperationId> =
  Success<operations[Id]> extends infer A ? Extract<A, { content: { 'text/html': string } }> : never
type Returns<Id extends OperationId> = [IsPage<Id>] extends [never] ? Promise<Output<Id>> : string

type Method<Id extends OperationId> =
  object extends Input<Id>
    ? (input?: Input<Id>, options?: CallOptions) => Returns<Id>
    : (input: Input<Id>, options?: CallOptions) => Returns<Id>

/** A method for each operation, by its operation id. A page for people (`openSignInPage`, `authorize`) returns its address. */
export type Methods<Ids extends OperationId> = { [Id in Ids]: Method<Id> }

type ListId = Extract<OperationId, `list${string}`>
type ListName<Id extends string> = Id extends `list${infer Rest}` ? Uncapitalize<Rest> : never
type RowOf<Page> = Extract<Page[keyof Page], readonly unknown[]> extends readonly (infer R)[] ? R : never
type Rows<Id extends ListId> =
  object extends Input<Id>
    ? (input?: Input<Id>, options?: CallOptions) => AsyncGenerator<RowOf<Output<Id>>, void, undefined>
    : (input: Input<Id>, options?: CallOptions) => AsyncGenerator<RowOf<Output<Id>>, void, undefined>

/** For each `listSomething` a `something` that goes through the rows of all pages. */
export type Lists<Ids extends OperationId> = { [Id in Extract<Ids, ListId> as ListName<Id>]: Rows<Id> }
