import type { AdminOperationId, components, operations } from './api-types.d.ts'
import type { CallOptions } from './send.ts'

/** The types of the methods, derived from the OpenAPI document. */

export type Schemas = components['schemas']
export type OperationId = keyof operations
/** The operations for people and apps. Those for administrators are in `@thefocus/client/admin`. */
export type PublicOperationId = Exclude<OperationId, AdminOperationId>

type Content<T> = T extends { content: { 'application/json': infer Body } }
  ? Body
  : T extends { content: { 'application/x-www-form-urlencoded': infer Form } }
    ? Form
    : unknown
/** `unknown` where the document's types have `never` or `undefined`, so that it disappears in an intersection. */
type OrNothing<T> = [NonNullable<T>] extends [never] ? unknown : NonNullable<T>
type Body<O> = O extends { requestBody?: infer B } ? OrNothing<Content<NonNullable<B>>> : unknown
type Part<O, Name extends 'path' | 'query'> = O extends { parameters: { [N in Name]?: infer P } }
  ? OrNothing<P>
  : unknown

/** Allows `undefined` for optional fields, also under exactOptionalPropertyTypes. */
type Lenient<T> = { [K in keyof T]: object extends Pick<T, K> ? T[K] | undefined : T[K] }

/** The input of an operation: the parameters of its path, its query and its body in one object. */
export type Input<Id extends OperationId> = Lenient<
  Part<operations[Id], 'path'> & Part<operations[Id], 'query'> & Body<operations[Id]>
>

type Success<O> = O extends { responses: infer R } ? R[keyof R] : never
type Json<T> = T extends { content: { 'application/json': infer Value } }
  ? Value
  : T extends { content?: never }
    ? undefined
    : never
/** The answer of an operation. */
export type Output<Id extends OperationId> = Json<Success<operations[Id]>>

type IsPage<Id extends OperationId> =
  Success<operations[Id]> extends infer A ? Extract<A, { content: { 'text/html': string } }> : never
type Returns<Id extends OperationId> = [IsPage<Id>] extends [never] ? Promise<Output<Id>> : string

type Method<Id extends OperationId> =
  object extends Input<Id>
    ? (input?: Input<Id>, options?: CallOptions) => Returns<Id>
    : (input: Input<Id>, options?: CallOptions) => Returns<Id>

/** A method for each operation, by its operation id. For a page (`openSignInPage`, `authorize`) it returns the address. */
export type Methods<Ids extends OperationId> = { [Id in Ids]: Method<Id> }

type ListId = Extract<OperationId, `list${string}`>
type ListName<Id extends string> = Id extends `list${infer Rest}` ? Uncapitalize<Rest> : never
type RowOf<Page> = Extract<Page[keyof Page], readonly unknown[]> extends readonly (infer R)[] ? R : never
type Rows<Id extends ListId> =
  object extends Input<Id>
    ? (input?: Input<Id>, options?: CallOptions) => AsyncGenerator<RowOf<Output<Id>>, void, undefined>
    : (input: Input<Id>, options?: CallOptions) => AsyncGenerator<RowOf<Output<Id>>, void, undefined>

/** For each `listSomething` a method `something` that iterates over the rows of all pages. */
export type Lists<Ids extends OperationId> = { [Id in Extract<Ids, ListId> as ListName<Id>]: Rows<Id> }
