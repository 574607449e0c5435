import type { Config } from '../config.ts'
import { GRANT_SCOPES } from './grants.ts'

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
export const GRANT_TYPES = ['authorization_code', 'refresh_token', DEVICE_GRANT] as const

/** Where clients find what they need (RFC 8414). `admin` is not among the scopes: it exists for devices alone. */
export const serverMetadata = ({ publicUrl }: Config) => ({
  issuer: publicUrl,
  authorization_endpoint: `${publicUrl}/oauth/authorize`,
  token_endpoint: `${publicUrl}/oauth/token`,
  device_authorization_endpoint: `${publicUrl}/oauth/device_authorization`,
  revocation_endpoint: `${publicUrl}/oauth/revoke`,
  introspection_endpoint: `${publicUrl}/oauth/introspect`,
  scopes_supported: [...GRANT_SCOPES],
  response_types_supported: ['code'],
  response_modes_supported: ['query'],
  grant_types_supported: [...GRANT_TYPES],
  token_endpoint_auth_methods_supported: ['none'],
  revocation_endpoint_auth_methods_supported: ['none'],
  introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
  code_challenge_methods_supported: ['S256'],
  authorization_response_iss_parameter_supported: true,
  client_id_metadata_document_supported: true,
  protected_resources: [publicUrl],
  service_documentation: `${publicUrl}/api/docs`,
})

/** Where clients of the API learn who issues its tokens (RFC 9728). */
export const resourceMetadata = ({ publicUrl }: Config) => ({
  resource: publicUrl,
  resource_name: 'The Focus API',
  authorization_servers: [publicUrl],
  scopes_supported: [...GRANT_SCOPES],
  bearer_methods_supported: ['header'],
  resource_documentation: `${publicUrl}/api/docs`,
})
