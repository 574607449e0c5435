/* Made of openapi.snapshot.json by `npm run openapi`. Do not edit. */

export interface paths {
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The process is alive
         * @description For the liveness check of a container. It asks neither the database nor the identity provider.
         */
        get: operations["checkHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The service is ready: the database answers and is migrated, and the process is not shutting down
         * @description For the readiness check of a load balancer, which sends requests to instances that answer 200 only.
         */
        get: operations["checkReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sessionToken": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Return a Clerk session JWT (optionally via template)
         * @description Answers a JWT that lives for 60 seconds: the bearer token of the request while it is fresh, otherwise a new one of the same session. A browser calls it with the session cookie, from an allowed origin.
         */
        get: operations["getSessionToken"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Open a session: exchange a new session JWT for a session cookie (our sign-in page only)
         * @description The last step of our sign-in page. The session lives for 7 days; the cookie is HttpOnly and SameSite=Lax.
         */
        post: operations["createSession"];
        /**
         * Sign out: end the session and clear its cookie
         * @description Called from an allowed origin with the session cookie. Personal access tokens stay valid.
         */
        delete: operations["deleteSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List your valid personal access tokens, newest first
         * @description Expired and revoked tokens are not listed. The tokens themselves are never shown again.
         */
        get: operations["listTokens"];
        put?: never;
        /**
         * Make a personal access token, such as for a server
         * @description For a person on a page of this service, or a personal access token with the scope `account`; tokens of apps make none. The answer has the token, once. What a token makes has no scope, budget or app that it lacks itself, counts against its budget too, expires no later, and is revoked with it.
         */
        post: operations["createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke one of your personal access tokens; `current` is the token of this request
         * @description The token and those that it made stop working at once on the instance that answers, and within 5 seconds on the others. A token of any scope may revoke itself. Others than itself and what it made, a personal access token revokes only where it has no limits and all their scopes.
         */
        delete: operations["revokeToken"];
        options?: never;
        head?: never;
        /**
         * Rename a personal access token, or change what it may spend
         * @description What is not given stays; null takes a limit away. What is spent stays too; with another period it is what the jobs since its beginning hold and cost. For those who may make tokens; a token gives no more than it has, and changes others than itself and what it made only where it has no limits and all their scopes. A change of a budget holds at once. A first budget holds within 5 seconds on other instances, and counts from then on.
         */
        patch: operations["changeToken"];
        trace?: never;
    };
    "/api/grants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what you have allowed programs to do, newest first
         * @description Live grants: OAuth clients, and apps that may spend your credits. Revoked ones are not listed.
         */
        get: operations["listGrants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/grants/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke something that you have allowed
         * @description Its tokens stop working at once on the instance that answers, and within 5 seconds on the others. Jobs that hold credits go on and are settled. An access token may revoke its own grant alone, a personal access token others where it has no limits and all their scopes.
         */
        delete: operations["revokeGrant"];
        options?: never;
        head?: never;
        /**
         * Change the budget of something that you have allowed
         * @description What is spent stays, and counts against the new budget; with another period it is what the jobs since its beginning hold and cost. For a person on our own pages, or a personal access token without limits that has the scopes of the grant. Access tokens and session tokens of apps may not.
         */
        patch: operations["changeGrant"];
        trace?: never;
    };
    "/api/wallet": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get wallet and app grants
         * @description The first request of a person opens their account. With `app`, the first visit to a registered app grants its starter credits, once. HEAD requests, and requests with a cookie from another site, grant nothing.
         */
        get: operations["getWallet"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/wallet/entries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List ledger entries, newest first; as CSV with Accept: text/csv
         * @description Every change of the balance is one entry. Entries are numbered without gaps and never change. A page may be shorter than `limit`, or empty: the list ends where `next_cursor` is null. As CSV without `limit`, all of them are sent, however many: without filters the last line is entry 1; where the connection breaks off before, the export is incomplete.
         */
        get: operations["listEntries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List user's jobs with optional filters
         * @description Newest first. `next_cursor` continues the list. A page may be shorter than `limit`, or empty: the list ends where `next_cursor` is null. With `X-App-Key`, those of the account's jobs that are the app's own.
         */
        get: operations["listJobs"];
        put?: never;
        /**
         * Create job (reserve credits)
         * @description Reserves `cost_estimate` credits until the job is completed or failed, or until `expires_at`. With too few credits the answer is 402 and nothing is stored. Send an `Idempotency-Key` to repeat the request safely. The app's server may reserve without the person's token, with `X-App-Key` and `account_id`, where the person has allowed it to spend.
         */
        post: operations["createJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get one job
         * @description One of your own jobs; those of others are not found. With `X-App-Key`, one of the app's own: `account_id` says whose.
         */
        get: operations["getJob"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Sum up what your jobs cost, by app, action, token or day; as CSV with Accept: text/csv
         * @description A job counts on the day on which it was created (UTC), with what it has cost by now; while it runs, with what it holds. The sums agree with the ledger.
         */
        get: operations["getUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Sum up what all accounts' jobs cost, by app, day or plan; as CSV with Accept: text/csv
         * @description As GET /api/usage. It reads the jobs of all accounts: where that takes more than 4.5 s, it is answered 503; ask for fewer days.
         */
        get: operations["getTotalUsage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/device/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start device-code login
         * @description The device shows `user_code` and `verification_uri` to the person, and polls with `device_code`. The body may be absent.
         */
        post: operations["startDeviceLogin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/device/poll": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Poll for device token
         * @description The same as the POST. The code is part of the address, which proxies may log: prefer the POST.
         */
        get: operations["pollDeviceLoginByQuery"];
        put?: never;
        /**
         * Poll for device token, with the code in the body so that no proxy logs it
         * @description Poll every `interval` seconds. 202 means that the person has not decided yet.
         */
        post: operations["pollDeviceLogin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/device/complete": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Complete device login (browser, requires Clerk session)
         * @description Approves or denies the login whose code the person typed. Only a person who is signed in on our own page can do this.
         */
        post: operations["completeDeviceLogin"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.well-known/oauth-authorization-server": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Metadata of the authorization server (RFC 8414)
         * @description Where the endpoints are and what they support. Client libraries call it discovery.
         */
        get: operations["getAuthorizationServerMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.well-known/oauth-protected-resource": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Metadata of this API as a protected resource (RFC 9728)
         * @description Which authorization server issues tokens for this API, and with which scopes.
         */
        get: operations["getProtectedResourceMetadata"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/token": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Exchange a code, a refresh token or a device code for tokens (RFC 6749, RFC 7636, RFC 8628)
         * @description Access tokens live for an hour. A refresh token works once and is replaced by the next; used again after 10 seconds, it ends all tokens of its login. A device gets a personal access token and no refresh token.
         */
        post: operations["requestToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revoke a token (RFC 7009)
         * @description Answers 200 for a token that does not exist, too.
         */
        post: operations["revokeOAuthToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/device_authorization": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a device login (RFC 8628)
         * @description The same logins as /api/device/start: either endpoint answers the token of the other.
         */
        post: operations["startDeviceAuthorization"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/introspect": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ask about an access token for a resource of your app (RFC 7662)
         * @description Only the app whose resource a token is for, or that is its client, is told about it; to every other app no token is active. An ended token is inactive at once. Authenticate with the settle key of the app, in `X-App-Key` or by HTTP Basic with the slug as user.
         */
        post: operations["introspectToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/oauthToken": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the accounts of OAuth providers that you have connected
         * @description Each by the name of its provider and its `external_account_id`, for `getOAuthToken`.
         */
        get: operations["listOAuthConnections"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/oauthToken/{provider}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Fetch OAuth access token for a provider via Clerk
         * @description Answers the provider's own access token of a connected account. A personal access token needs the scope `oauth`.
         */
        get: operations["getOAuthToken"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/xToken": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Fetch X/Twitter OAuth access token via Clerk
         * @description Looks for a connection named `x`, then for one named `twitter`. A personal access token needs the scope `oauth`.
         */
        get: operations["getXToken"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/xMe": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Proxy to https://api.twitter.com/2/users/me
         * @description Takes X's own bearer token, as /api/xToken returns it. Our tokens and Clerk's are never forwarded.
         */
        get: operations["getXMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/complete": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Complete a job and settle credits
         * @description A lower cost than was reserved is refunded, a higher one is charged. Repeating the request with the same values changes nothing. Where the app has a settle key, only its server may do this, with `X-App-Key`.
         */
        post: operations["completeJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/fail": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Fail a job and optionally refund the reserve
         * @description With `refund` (the default) the reserved credits are returned, without it they are charged. Where the app has a settle key, only its server may do this, with `X-App-Key`.
         */
        post: operations["failJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}/heartbeat": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Extend the hold of a running job
         * @description Moves `expires_at` to `ttl_seconds` from now. The body may be absent.
         */
        post: operations["heartbeatJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/credits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Add or remove credits; creates the account if it does not exist
         * @description Posts one entry. `reference` is unique per account: repeating the request changes nothing. A service key with scope `topup` posts top-ups.
         */
        post: operations["adjustCredits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/revoke-tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revoke all of an account's personal access tokens
         * @description They stop working at once on the instance that answers, and within 5 seconds on the others.
         */
        post: operations["revokeAccountTokens"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/close": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Close an account for good: its holds come back, its tokens end, and nothing is posted to it any more
         * @description Its credits and its history stay.
         */
        post: operations["closeAccount"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/erase": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Erase a person: close the account and clear the Clerk id and job metadata; the ledger stays
         * @description It cannot be undone.
         */
        post: operations["eraseAccount"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check every invariant of the ledger
         * @description Reads the whole ledger: a large one takes up to two minutes.
         */
        get: operations["verifyLedger"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List accounts; with clerk_id, show the account of one person
         * @description Newest first. With `clerk_id` the answer has `account`, else `accounts` and `next_cursor`. Filters can be combined; a page can be shorter than `limit` while `next_cursor` is not null.
         */
        get: operations["listAccounts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show an account
         * @description Its balance, and when it was opened and closed.
         */
        get: operations["getAccount"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/entries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an account's ledger entries, newest first
         * @description As the person sees them by `GET /api/wallet/entries`.
         */
        get: operations["listAccountEntries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an account's jobs, newest first
         * @description As the person sees them by `GET /api/jobs`.
         */
        get: operations["listAccountJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an account's valid personal access tokens, newest first
         * @description As the person sees them by `GET /api/tokens`: by name and last four characters.
         */
        get: operations["listAccountTokens"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/grants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the programs that the person has approved, newest first
         * @description Live grants of OAuth.
         */
        get: operations["listAccountGrants"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/purchases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an account's purchases, newest first
         * @description As the person sees them by `GET /api/purchases`.
         */
        get: operations["listAccountPurchases"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/tokens/{token_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke one personal access token of an account
         * @description It stops working at once on the instance that answers, and within 5 seconds on the others.
         */
        delete: operations["revokeTokenOfAccount"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/accounts/{id}/grants/{grant_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End what a person has approved for a program, and its tokens
         * @description Its tokens stop working at once on the instance that answers, and within 5 seconds on the others.
         */
        delete: operations["revokeGrantOfAccount"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/apps/{slug}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Register an app, or change it; absent fields keep their value
         * @description Origins are allowed within 30 seconds on every instance. The new settle key is shown in this answer only.
         */
        put: operations["setApp"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/apps": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the registered apps
         * @description By slug.
         */
        get: operations["listApps"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the jobs of all accounts, or of one
         * @description Newest first; jobs in progress (`status=started`, `overdue=true`) of all accounts by when their holds expire, the earliest first. A page can be shorter than `limit` while `next_cursor` is not null.
         */
        get: operations["listAllJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show a job of any account, and the entries that refund it
         * @description The entries name the job as `corrects_job_id`.
         */
        get: operations["getAnyJob"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/jobs/{id}/refund": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give back what a job cost, or a part of it
         * @description Writes an adjustment whose reference names the job; the job itself stays as it is. The same part and amount again changes nothing.
         */
        post: operations["refundJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/jobs/{id}/end": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a job that its app does not end
         * @description The job fails with `failure_reason` `ended_by_operator`, and its app is told by webhook. Its hold comes back, or is what the job costs. Completing it later answers 409.
         */
        post: operations["endJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the live service keys
         * @description Without the keys themselves, of which only hashes are kept.
         */
        get: operations["listServiceKeys"];
        put?: never;
        /**
         * Make a key for a server of yours, such as one that takes payments
         * @description The answer has the key, once. With scope `topup` it posts top-ups by `POST /api/admin/credits`, as `Authorization: Bearer focus_key_…`, and nothing else.
         */
        post: operations["createServiceKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a service key
         * @description It stops working at once, on every replica.
         */
        delete: operations["revokeServiceKey"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/overview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show credits and holds of all accounts, what needs attention, and the last thirty days
         * @description Sums over all accounts are gathered every minute, on a large database less often; `gathered_at` says when.
         */
        get: operations["getOverview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what administrators have changed, newest first
         * @description Every change by the API, the command line or the console has a line, which never changes.
         */
        get: operations["listActions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/packs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what can be bought; empty where this service sells nothing
         * @description Needs no sign-in. Prices are integers of the minor unit of the currency.
         */
        get: operations["listPacks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/packs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the packs, also where this service sells nothing
         * @description The smallest first.
         */
        get: operations["listAllPacks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/packs/{slug}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Sell a pack of credits, or change it; purchases that have begun keep their terms
         * @description With `stripe_price_id`, which must have the same price and currency, Stripe shows its own product. An automatic top-up for a pack whose terms change is paused until the person agrees again.
         */
        put: operations["setPack"];
        post?: never;
        /**
         * Stop selling a pack; purchases that have begun can still be paid
         * @description Automatic top-ups for it are paused when they are due.
         */
        delete: operations["removePack"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/purchases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List purchases of all accounts, newest first
         * @description With the account of each, and its payment at the provider.
         */
        get: operations["listAllPurchases"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/purchases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List purchases, newest first
         * @description With state, amount and receipt.
         */
        get: operations["listPurchases"];
        put?: never;
        /**
         * Begin to buy a pack: send the person to checkout_url. The credits come when it is paid
         * @description Credits and price are those of the pack. The credits are posted when the payment provider says that the payment has succeeded, and not because the person comes back.
         */
        post: operations["createPurchase"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/purchases/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get one purchase
         * @description To look whether a payment has arrived.
         */
        get: operations["getPurchase"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/wallet/auto-topup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Buy a pack automatically when credits fall below a mark; only a person on our own page may agree to that
         * @description Needs our session cookie from our own page, `/buy`: an app holds tokens of a person, and must not spend their money. Charged at most once at a time; after three declines it is paused.
         */
        put: operations["setAutoTopup"];
        post?: never;
        /**
         * Turn automatic top-ups off
         * @description A charge that is under way still ends as it does.
         */
        delete: operations["removeAutoTopup"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/wallet/auto-topup/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Go on with automatic top-ups that are paused
         * @description The person says that the card may be charged again.
         */
        post: operations["resumeAutoTopup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/clerk": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/stripe": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/apps/{slug}/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an app's webhook endpoints
         * @description Without their secrets.
         */
        get: operations["listWebhookEndpoints"];
        put?: never;
        /**
         * Register a webhook endpoint of an app (Standard Webhooks); events start within two seconds
         * @description The requests that it receives are described under `x-webhooks`.
         */
        post: operations["createWebhookEndpoint"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/webhooks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show a webhook endpoint
         * @description Without its secret.
         */
        get: operations["getWebhookEndpoint"];
        put?: never;
        post?: never;
        /**
         * Remove a webhook endpoint and its undelivered messages
         * @description A message that is being sent may still arrive.
         */
        delete: operations["deleteWebhookEndpoint"];
        options?: never;
        head?: never;
        /**
         * Change, pause or resume a webhook endpoint; what is not given stays
         * @description A new URL, and resuming, send waiting messages at once.
         */
        patch: operations["updateWebhookEndpoint"];
        trace?: never;
    };
    "/api/admin/webhooks/{id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Replace an endpoint's secret; both sign for 24 hours
         * @description The new secret is shown in this answer only.
         */
        post: operations["rotateWebhookSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/webhooks/{id}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a test message, once; its delivery is listed within seconds. Pauses do not hold it back
         * @description Its `type` is `test`. `listWebhookDeliveries` shows how it was answered.
         */
        post: operations["sendTestWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/webhooks/{id}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List attempts to deliver an endpoint's messages, of the last seven days, newest first
         * @description With the status and the beginning of the answer of each.
         */
        get: operations["listWebhookDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/webhooks/dead": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List messages that could not be delivered within three days, oldest first; they are kept for 30 days
         * @description `replayWebhookMessages` sends them again.
         */
        get: operations["listDeadWebhookMessages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/webhooks/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Retry an endpoint's dead messages for another three days
         * @description All of them, or one. Each keeps its `webhook-id`.
         */
        post: operations["replayWebhookMessages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/admin/webhooks/dismiss": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Delete an endpoint's dead messages, once somebody has looked at them
         * @description All of them, or one.
         */
        post: operations["dismissDeadWebhookMessages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/signin": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Interactive sign-in. On success, redirects to redirect_to with ?token=<JWT>
         * @description A page for browsers. Who is signed in already is redirected at once.
         */
        get: operations["openSignInPage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/oauth/authorize": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The page where a person lets an app use their account (RFC 6749, RFC 7636)
         * @description Send the browser here. It comes back to redirect_uri with `code`, `state` and `iss`, or with `error`. A request whose client or redirect_uri is wrong is answered here and redirected nowhere.
         */
        get: operations["authorize"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "clerk_id": "user_2abc",
         *       "plan": "free",
         *       "credits": 15,
         *       "held": 5
         *     }
         */
        Account: {
            /** Format: uuid */
            id: string;
            clerk_id: string;
            plan: string;
            /** @description Credits that can be spent; what jobs hold is already deducted. Below zero after an overage */
            credits: number;
            /** @description Credits reserved by running jobs */
            held: number;
        };
        /**
         * @example {
         *       "slug": "video",
         *       "starter_credits": 20,
         *       "granted": true,
         *       "granted_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        AppEntry: {
            slug: string;
            starter_credits: number;
            /** @description Whether this account has received the starter credits */
            granted: boolean;
            /** Format: date-time */
            granted_at: string | null;
        };
        /**
         * @example {
         *       "status": "on",
         *       "reason": null,
         *       "message": null,
         *       "retry_at": null,
         *       "pack": "small",
         *       "credits": 100,
         *       "price": 500,
         *       "currency": "usd",
         *       "below": 20,
         *       "monthly_cap": 5000,
         *       "card": "Visa …4242"
         *     }
         */
        AutoTopup: {
            /**
             * @description waiting: continues by itself at retry_at; paused: the person must act, at buy_url
             * @enum {string}
             */
            status: "on" | "waiting" | "paused";
            /** @description Why it waits or is paused: card_missing, card_declined, card_refused, authentication_required, monthly_cap, pack_changed, disputed */
            reason: string | null;
            /** @description The reason, for the person */
            message: string | null;
            /** Format: date-time */
            retry_at: string | null;
            pack: string;
            credits: number;
            /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
            price: number;
            /** @description ISO 4217, lowercase */
            currency: string;
            /** @description Credits are bought when spendable and held credits together fall below this */
            below: number;
            /** @description The most that is charged in a calendar month (UTC), in minor units */
            monthly_cap: number;
            card: string | null;
        };
        /**
         * @example {
         *       "account": {
         *         "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *         "clerk_id": "user_2abc",
         *         "plan": "free",
         *         "credits": 20,
         *         "held": 0
         *       },
         *       "apps": [
         *         {
         *           "slug": "video",
         *           "starter_credits": 20,
         *           "granted": true,
         *           "granted_at": "2026-11-21T12:00:00.000Z"
         *         }
         *       ],
         *       "app_grant": {
         *         "slug": "video",
         *         "starter_credits": 20,
         *         "granted": true
         *       },
         *       "buy_url": "https://account.thefocus.ai/buy",
         *       "auto_topup": null
         *     }
         */
        WalletResponse: {
            account: components["schemas"]["Account"];
            /** @description Registered apps, and apps that this account has used */
            apps: components["schemas"]["AppEntry"][];
            /** @description The app of the query; null without one */
            app_grant: {
                slug: string;
                starter_credits: number;
                granted: boolean;
            } | null;
            /** @description Where to buy credits; null where this service sells none */
            buy_url: string | null;
            /** @description null: off */
            auto_topup: {
                /**
                 * @description waiting: continues by itself at retry_at; paused: the person must act, at buy_url
                 * @enum {string}
                 */
                status: "on" | "waiting" | "paused";
                /** @description Why it waits or is paused: card_missing, card_declined, card_refused, authentication_required, monthly_cap, pack_changed, disputed */
                reason: string | null;
                /** @description The reason, for the person */
                message: string | null;
                /** Format: date-time */
                retry_at: string | null;
                pack: string;
                credits: number;
                /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
                price: number;
                /** @description ISO 4217, lowercase */
                currency: string;
                /** @description Credits are bought when spendable and held credits together fall below this */
                below: number;
                /** @description The most that is charged in a calendar month (UTC), in minor units */
                monthly_cap: number;
                card: string | null;
            } | null;
        };
        /**
         * @example {
         *       "app": "video",
         *       "action": "render",
         *       "cost_estimate": 5,
         *       "metadata": {
         *         "description": "Render preview clip"
         *       }
         *     }
         */
        JobStartRequest: {
            /** @description Lowercase letters, digits and hyphens */
            app: string;
            action: string;
            /** @description Credits to reserve */
            cost_estimate: number;
            metadata?: {
                [key: string]: unknown;
            };
            /** @description How long the hold lasts unless the job ends or sends a heartbeat; default: the operator's setting (a day) */
            ttl_seconds?: number;
            /**
             * Format: uuid
             * @description With X-App-Key: the account to charge, which must have allowed the app to spend its credits. Then no user token is needed
             */
            account_id?: string;
            /**
             * Format: uuid
             * @description With account_id: the grant to use, from introspection; needed only if the account has several for this app
             */
            grant_id?: string;
        };
        /**
         * @example {
         *       "job_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "status": "started",
         *       "expires_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        JobStartResponse: {
            /** Format: uuid */
            job_id: string;
            /** Format: uuid */
            account_id: string;
            /** @enum {string} */
            status: "started" | "completed" | "failed";
            /**
             * Format: date-time
             * @description When the hold is released unless the job has ended
             */
            expires_at: string;
        };
        /**
         * @example {
         *       "job_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "actual_cost": 3,
         *       "metadata": {
         *         "durationMs": 1200
         *       }
         *     }
         */
        JobCompleteRequest: {
            /** Format: uuid */
            job_id: string;
            /**
             * Format: uuid
             * @description With X-App-Key: the job's account, as POST /api/jobs returned it. Then no user token is needed
             */
            account_id?: string;
            /** @description Credits that the job cost */
            actual_cost: number;
            /** @description Merged into the job's metadata; new values replace old ones */
            metadata?: {
                [key: string]: unknown;
            };
        };
        /**
         * @example {
         *       "job_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "refund": true
         *     }
         */
        JobFailRequest: {
            /** Format: uuid */
            job_id: string;
            /**
             * Format: uuid
             * @description With X-App-Key: the job's account, as POST /api/jobs returned it. Then no user token is needed
             */
            account_id?: string;
            /**
             * @description false: the job costs what it reserved, instead of nothing
             * @default true
             */
            refund: boolean;
            /** @description Merged into the job's metadata; new values replace old ones */
            metadata?: {
                [key: string]: unknown;
            };
        };
        /**
         * @example {
         *       "ttl_seconds": 600
         *     }
         */
        HeartbeatRequest: {
            /** @description How long the hold lasts from now; default: the job's own ttl_seconds */
            ttl_seconds?: number;
            /**
             * Format: uuid
             * @description With X-App-Key: the job's account, as POST /api/jobs returned it. Then no user token is needed
             */
            account_id?: string;
        } | null;
        /**
         * @example {
         *       "error": "job_not_found",
         *       "message": "You have no job with this id.",
         *       "request_id": "5b0f2f0e-8a55-4c1e-9d0e-2f6f7a1b3c4d"
         *     }
         */
        Error: {
            /** @description A stable, machine-readable code */
            error: string;
            /** @description A sentence that a person can act on; it may change */
            message: string;
            /** @description The id of the request in the log of the service */
            request_id: string;
        };
        /**
         * @example {
         *       "error": "not_signed_in",
         *       "message": "Sign in, or send a bearer token.",
         *       "signin_url": "https://account.thefocus.ai/signin?redirect_to=https%3A%2F%2Fapp.example.com%2F",
         *       "request_id": "5b0f2f0e-8a55-4c1e-9d0e-2f6f7a1b3c4d"
         *     }
         */
        SessionUnauthorized: {
            /** @description A stable, machine-readable code */
            error: string;
            /** @description A sentence that a person can act on; it may change */
            message: string;
            /** @description The id of the request in the log of the service */
            request_id: string;
            /** @description URL to initiate sign-in with redirect_to back to caller */
            signin_url: string;
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "app_slug": "video",
         *       "action": "render",
         *       "status": "completed",
         *       "reserved": 5,
         *       "actual_cost": 3,
         *       "requested_cost": 3,
         *       "refunded": 0,
         *       "metadata": {
         *         "description": "Render preview clip"
         *       },
         *       "failure_reason": null,
         *       "expires_at": "2026-11-22T12:00:00.000Z",
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "updated_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        Job: {
            /** Format: uuid */
            id: string;
            app_slug: string | null;
            action: string;
            /** @enum {string} */
            status: "started" | "completed" | "failed";
            reserved: number;
            /** @description What was charged; 0 while the job is running */
            actual_cost: number;
            /** @description The cost that completing it asked for; above actual_cost if the app's max_overage capped the charge */
            requested_cost: number;
            /** @description What an administrator refunded of actual_cost; each refund is a separate entry */
            refunded: number;
            metadata: {
                [key: string]: unknown;
            } | null;
            /** @description expired: the hold timed out and was released; kept when the job is completed later. account_closed: it ended with its account. ended_by_operator: an administrator ended it */
            failure_reason: string | null;
            /**
             * Format: date-time
             * @description When the hold is released unless the job has ended
             */
            expires_at: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        /**
         * @example {
         *       "job": {
         *         "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *         "app_slug": "video",
         *         "action": "render",
         *         "status": "completed",
         *         "reserved": 5,
         *         "actual_cost": 3,
         *         "requested_cost": 3,
         *         "refunded": 0,
         *         "metadata": {
         *           "description": "Render preview clip"
         *         },
         *         "failure_reason": null,
         *         "expires_at": "2026-11-22T12:00:00.000Z",
         *         "created_at": "2026-11-21T12:00:00.000Z",
         *         "updated_at": "2026-11-21T12:00:00.000Z"
         *       },
         *       "moved": {
         *         "kind": "job_refund",
         *         "amount": 2
         *       },
         *       "credits": 17,
         *       "held": 0
         *     }
         */
        JobSettled: {
            job: components["schemas"]["Job"];
            /** @description What ending the job refunded (above zero) or charged (below zero); null: nothing */
            moved: {
                /** @enum {string} */
                kind: "starter_grant" | "admin_grant" | "topup" | "adjustment" | "job_reserve" | "job_refund" | "job_overage" | "job_release" | "job_expire" | "job_late_charge" | "topup_refund" | "topup_reinstated";
                amount: number;
            } | null;
            /** @description Credits that can be spent now */
            credits: number;
            held: number;
            /** @description true: the app's max_overage capped the charge; requested_cost is what was asked for */
            overage_capped?: boolean;
            /** @description The job is settled, but part of the request was not carried out */
            warning?: string;
        };
        /**
         * @example {
         *       "seq": 2,
         *       "kind": "job_reserve",
         *       "amount": -5,
         *       "balance_after": 15,
         *       "job_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "reference": null,
         *       "reason": null,
         *       "corrects_job_id": null,
         *       "created_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        Entry: {
            seq: number;
            /** @enum {string} */
            kind: "starter_grant" | "admin_grant" | "topup" | "adjustment" | "job_reserve" | "job_refund" | "job_overage" | "job_release" | "job_expire" | "job_late_charge" | "topup_refund" | "topup_reinstated";
            amount: number;
            balance_after: number;
            /** Format: uuid */
            job_id: string | null;
            reference: string | null;
            reason: string | null;
            /**
             * Format: uuid
             * @description The job that an administrator refunded by this adjustment
             */
            corrects_job_id: string | null;
            /** Format: date-time */
            created_at: string;
        };
        /**
         * @example {
         *       "slug": "video",
         *       "name": "Video",
         *       "starter_credits": 20,
         *       "max_overage": {
         *         "percent": 200
         *       },
         *       "origins": [
         *         "https://video.example.com"
         *       ],
         *       "return_paths": [],
         *       "redirect_uris": [
         *         "https://video.example.com/callback"
         *       ],
         *       "resources": [],
         *       "has_settle_key": false,
         *       "created_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        App: {
            slug: string;
            name: string | null;
            starter_credits: number;
            /** @description How far the cost of a job may exceed its estimate; completing it for more charges up to this limit. null: no limit */
            max_overage: {
                /** @description Credits beyond the estimate */
                credits?: number;
                /** @description Per cent of the estimate beyond it; 200: three times the estimate in all */
                percent?: number;
            } | null;
            origins: string[];
            return_paths: string[];
            redirect_uris: string[];
            resources: string[];
            /** @description Whether the app has a settle key; then a user's token alone cannot settle its jobs */
            has_settle_key: boolean;
            /** @description The new settle key, returned only when it is made; keep it on a server */
            settle_key?: string;
            /** Format: date-time */
            created_at: string;
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "app_slug": "video",
         *       "url": "https://video.example.com/hooks/focus",
         *       "events": [
         *         "job.completed",
         *         "job.failed"
         *       ],
         *       "low_credits": 0,
         *       "paused": false,
         *       "pause_reason": null,
         *       "failures": 0,
         *       "failing_since": null,
         *       "retry_at": null,
         *       "last_error": null,
         *       "previous_secret_until": null,
         *       "created_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        WebhookEndpoint: {
            /** Format: uuid */
            id: string;
            app_slug: string;
            url: string;
            events: ("job.completed" | "job.failed" | "account.low" | "account.recovered" | "account.negative" | "budget.low" | "budget.exceeded")[];
            /** @description account.low is sent when credits and holds together fall below this, account.recovered when they reach it again */
            low_credits: number;
            /** @description Its messages wait until it is resumed */
            paused: boolean;
            /**
             * @description gone: it answered 410, so it was paused by the service
             * @enum {string|null}
             */
            pause_reason: "operator" | "gone" | null;
            /** @description Failed attempts since the last that succeeded */
            failures: number;
            /** Format: date-time */
            failing_since: string | null;
            /**
             * Format: date-time
             * @description When a failing endpoint is tried again
             */
            retry_at: string | null;
            last_error: string | null;
            /**
             * Format: date-time
             * @description Until then the secret before the last rotation signs as well
             */
            previous_secret_until: string | null;
            /** Format: date-time */
            created_at: string;
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "endpoint_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "event": "job.failed",
         *       "payload": {
         *         "type": "job.failed",
         *         "timestamp": "2026-11-21T12:00:00.000Z",
         *         "data": {
         *           "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *           "credits": 5
         *         }
         *       },
         *       "attempts": 18,
         *       "last_error": "Answered 500.",
         *       "created_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        WebhookMessage: {
            /**
             * Format: uuid
             * @description The webhook-id header of every attempt
             */
            id: string;
            /** Format: uuid */
            account_id: string;
            /** Format: uuid */
            endpoint_id: string;
            /** @enum {string} */
            event: "job.completed" | "job.failed" | "account.low" | "account.recovered" | "account.negative" | "budget.low" | "budget.exceeded";
            payload: {
                [key: string]: unknown;
            };
            attempts: number;
            last_error: string | null;
            /** Format: date-time */
            created_at: string;
        };
        /**
         * @example {
         *       "error": "invalid_grant",
         *       "error_description": "The code has expired. Start the authorization again."
         *     }
         */
        OAuthError: {
            /** @description The error code of the RFC */
            error: string;
            /** @description What is wrong and what to do about it */
            error_description?: string;
            /** @description The id of the request in the log of the service */
            request_id?: string;
        };
        /**
         * @description One attempt to deliver a message
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "message_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "event": "job.failed",
         *       "attempt": 1,
         *       "attempted_at": "2026-11-21T12:00:00.000Z",
         *       "ms": 41,
         *       "status": 500,
         *       "answer": "database is locked",
         *       "error": "Answered 500.",
         *       "next_attempt_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        WebhookDelivery: {
            /** Format: uuid */
            id: string;
            /**
             * Format: uuid
             * @description The webhook-id header
             */
            message_id: string;
            /** Format: uuid */
            account_id: string;
            /** @enum {string} */
            event: "job.completed" | "job.failed" | "account.low" | "account.recovered" | "account.negative" | "budget.low" | "budget.exceeded" | "test";
            /** @description The number of this attempt; the first is 1 */
            attempt: number;
            /** Format: date-time */
            attempted_at: string;
            /** @description How long it took, in ms */
            ms: number;
            /** @description HTTP status of the answer; null: there was no answer */
            status: number | null;
            /** @description The first 200 characters of its body */
            answer: string | null;
            /** @description Why the attempt failed; null: the message was delivered */
            error: string | null;
            /**
             * Format: date-time
             * @description When the next attempt was due; null: there was none to follow
             */
            next_attempt_at: string | null;
        };
        /**
         * @example {
         *       "slug": "small",
         *       "name": "100 credits",
         *       "credits": 100,
         *       "price": 500,
         *       "currency": "usd",
         *       "price_text": "$5.00"
         *     }
         */
        Pack: {
            slug: string;
            name: string;
            credits: number;
            /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
            price: number;
            /** @description ISO 4217, lowercase */
            currency: string;
            /** @description The price as people read it */
            price_text: string;
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "pack": "small",
         *       "name": "100 credits",
         *       "credits": 100,
         *       "price": 500,
         *       "currency": "usd",
         *       "status": "paid",
         *       "amount": 500,
         *       "refunded_credits": 0,
         *       "disputed": false,
         *       "automatic": false,
         *       "failure_reason": null,
         *       "receipt_url": "https://pay.stripe.com/receipts/…",
         *       "checkout_url": null,
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "paid_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        Purchase: {
            /** Format: uuid */
            id: string;
            /** @description The slug of the pack */
            pack: string;
            name: string;
            credits: number;
            /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
            price: number;
            /** @description ISO 4217, lowercase */
            currency: string;
            /**
             * @description processing: paid, but not confirmed yet, as with bank debits
             * @enum {string}
             */
            status: "open" | "processing" | "paid" | "failed" | "expired";
            /** @description What was paid, taxes included; null: not paid */
            amount: number | null;
            /** @description Taken back by refunds and lost disputes */
            refunded_credits: number;
            disputed: boolean;
            /** @description An automatic top-up */
            automatic: boolean;
            failure_reason: string | null;
            receipt_url: string | null;
            /** @description Where to pay, while it is open */
            checkout_url: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            paid_at: string | null;
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "name": "Payment server",
         *       "scopes": [
         *         "topup"
         *       ],
         *       "last_four": "3f9c",
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "last_used_at": null
         *     }
         */
        ServiceKey: {
            /** Format: uuid */
            id: string;
            name: string;
            scopes: string[];
            last_four: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            last_used_at: string | null;
            /** @description The key, returned only when it is made; keep it on a server */
            key?: string;
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "clerk_id": "user_2abc",
         *       "plan": "free",
         *       "credits": 15,
         *       "held": 5,
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "closed_at": null
         *     }
         */
        AdminAccount: {
            /** Format: uuid */
            id: string;
            clerk_id: string;
            plan: string;
            /** @description Credits that can be spent; what jobs hold is already deducted. Below zero after an overage */
            credits: number;
            /** @description Credits reserved by running jobs */
            held: number;
            /** Format: date-time */
            created_at: string;
            /**
             * Format: date-time
             * @description null: the account is open
             */
            closed_at: string | null;
            /**
             * @description What the search term matched
             * @enum {string}
             */
            found_by?: "account_id" | "clerk_id" | "email" | "job_id" | "token" | "reference" | "purchase_id";
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "action": "setApp",
         *       "target": "app video",
         *       "account_id": null,
         *       "administrator": {
         *         "id": "5b0f2f0e-8a55-4c1e-9d0e-2f6f7a1b3c4d",
         *         "clerk_id": "user_2abc"
         *       },
         *       "via": "console",
         *       "token_id": null,
         *       "reason": null,
         *       "before": {
         *         "starter_credits": 20
         *       },
         *       "after": {
         *         "starter_credits": 50
         *       }
         *     }
         */
        AdminAction: {
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            created_at: string;
            /** @description The operationId of the change */
            action: string;
            /** @description What was changed, such as `app video` */
            target: string | null;
            /**
             * Format: uuid
             * @description The account that the change concerns
             */
            account_id: string | null;
            administrator: {
                /**
                 * Format: uuid
                 * @description The administrator's account
                 */
                id: string;
                clerk_id: string | null;
            };
            /** @enum {string} */
            via: "api" | "cli" | "console";
            /**
             * Format: uuid
             * @description The personal access token that was used
             */
            token_id: string | null;
            reason: string | null;
            /** @description The changed fields before the change; null: there was nothing */
            before: {
                [key: string]: unknown;
            } | null;
            /** @description The changed fields after it. Secrets are left out */
            after: {
                [key: string]: unknown;
            } | null;
        };
        /**
         * @example {
         *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "app_slug": "video",
         *       "action": "render",
         *       "status": "completed",
         *       "reserved": 5,
         *       "actual_cost": 3,
         *       "requested_cost": 3,
         *       "refunded": 0,
         *       "metadata": {
         *         "description": "Render preview clip"
         *       },
         *       "failure_reason": null,
         *       "expires_at": "2026-11-22T12:00:00.000Z",
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "updated_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        AdminJob: {
            /** Format: uuid */
            account_id: string;
            /** Format: uuid */
            id: string;
            app_slug: string | null;
            action: string;
            /** @enum {string} */
            status: "started" | "completed" | "failed";
            reserved: number;
            /** @description What was charged; 0 while the job is running */
            actual_cost: number;
            /** @description The cost that completing it asked for; above actual_cost if the app's max_overage capped the charge */
            requested_cost: number;
            /** @description What an administrator refunded of actual_cost; each refund is a separate entry */
            refunded: number;
            metadata: {
                [key: string]: unknown;
            } | null;
            /** @description expired: the hold timed out and was released; kept when the job is completed later. account_closed: it ended with its account. ended_by_operator: an administrator ended it */
            failure_reason: string | null;
            /**
             * Format: date-time
             * @description When the hold is released unless the job has ended
             */
            expires_at: string;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            updated_at: string;
        };
        /**
         * @example {
         *       "slug": "small",
         *       "name": "100 credits",
         *       "credits": 100,
         *       "price": 500,
         *       "currency": "usd",
         *       "price_text": "$5.00",
         *       "stripe_price_id": null,
         *       "updated_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        AdminPack: {
            slug: string;
            name: string;
            credits: number;
            /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
            price: number;
            /** @description ISO 4217, lowercase */
            currency: string;
            /** @description The price as people read it */
            price_text: string;
            /** @description Stripe's own price for it */
            stripe_price_id: string | null;
            /** Format: date-time */
            updated_at: string;
        };
        /**
         * @example {
         *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "payment_id": "pi_3Q",
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "pack": "small",
         *       "name": "100 credits",
         *       "credits": 100,
         *       "price": 500,
         *       "currency": "usd",
         *       "status": "paid",
         *       "amount": 500,
         *       "refunded_credits": 0,
         *       "disputed": false,
         *       "automatic": false,
         *       "failure_reason": null,
         *       "receipt_url": "https://pay.stripe.com/receipts/…",
         *       "checkout_url": null,
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "paid_at": "2026-11-21T12:00:00.000Z"
         *     }
         */
        AdminPurchase: {
            /** Format: uuid */
            account_id: string;
            /** @description The payment at the provider; null: none is known */
            payment_id: string | null;
            /** Format: uuid */
            id: string;
            /** @description The slug of the pack */
            pack: string;
            name: string;
            credits: number;
            /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
            price: number;
            /** @description ISO 4217, lowercase */
            currency: string;
            /**
             * @description processing: paid, but not confirmed yet, as with bank debits
             * @enum {string}
             */
            status: "open" | "processing" | "paid" | "failed" | "expired";
            /** @description What was paid, taxes included; null: not paid */
            amount: number | null;
            /** @description Taken back by refunds and lost disputes */
            refunded_credits: number;
            disputed: boolean;
            /** @description An automatic top-up */
            automatic: boolean;
            failure_reason: string | null;
            receipt_url: string | null;
            /** @description Where to pay, while it is open */
            checkout_url: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            paid_at: string | null;
        };
        /**
         * @example {
         *       "gathered_at": "2026-11-21T12:00:00.000Z",
         *       "accounts": 120,
         *       "closed_accounts": 2,
         *       "credits": 4200,
         *       "owed": 15,
         *       "closed_credits": 30,
         *       "held": 35,
         *       "negative_accounts": 1,
         *       "overdue_holds": 0,
         *       "overdue_seconds": 0,
         *       "webhooks": {
         *         "waiting": 0,
         *         "dead": 0,
         *         "failing_endpoints": 0,
         *         "late_endpoints": 0,
         *         "oldest_seconds": 0
         *       },
         *       "purchases": [
         *         {
         *           "currency": "usd",
         *           "count": 12,
         *           "credits": 1200,
         *           "amount": 6000
         *         }
         *       ],
         *       "last_verify": {
         *         "at": "2026-11-21T12:00:00.000Z",
         *         "ok": true,
         *         "checks": 15,
         *         "broken": []
         *       },
         *       "days": [
         *         {
         *           "day": "2026-11-21",
         *           "granted": 20,
         *           "bought": 100,
         *           "refunded": 0,
         *           "taken": 0,
         *           "held": 80,
         *           "spent": 61,
         *           "started": 3,
         *           "completed": 20,
         *           "failed": 1,
         *           "expired": 0,
         *           "purchases": 1,
         *           "credits_bought": 100
         *         }
         *       ]
         *     }
         */
        Overview: {
            /**
             * Format: date-time
             * @description When the sums over accounts and the totals of today were computed; everything else is current
             */
            gathered_at: string;
            accounts: number;
            closed_accounts: number;
            /** @description What open accounts can spend */
            credits: number;
            /** @description What open accounts below zero owe */
            owed: number;
            /** @description On closed accounts, which can spend nothing */
            closed_credits: number;
            /** @description What jobs in progress hold */
            held: number;
            /** @description Open accounts below zero */
            negative_accounts: number;
            /** @description Jobs in progress with an expired hold; counted up to 100,000 */
            overdue_holds: number;
            /** @description How long ago the first of these holds expired, in seconds */
            overdue_seconds: number;
            webhooks: {
                /** @description Messages that are not delivered yet */
                waiting: number;
                /** @description Messages that were given up */
                dead: number;
                /** @description Endpoints whose last delivery failed */
                failing_endpoints: number;
                /** @description Endpoints with a message that has been waiting for more than five minutes */
                late_endpoints: number;
                /** @description How long the oldest message has been waiting, in seconds */
                oldest_seconds: number;
            };
            /** @description Paid within the last 30 days, by currency */
            purchases: {
                currency: string;
                count: number;
                credits: number;
                /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
                amount: number;
            }[];
            /** @description The last verification of the ledger; null: none */
            last_verify: {
                /** Format: date-time */
                at: string;
                ok: boolean;
                checks: number;
                broken: string[];
            } | null;
            /** @description The last 30 days, oldest first; the last one is today */
            days: {
                /**
                 * Format: date
                 * @description UTC
                 */
                day: string;
                /** @description Given to accounts without payment: starter credits, grants, adjustments */
                granted: number;
                /** @description Top-ups: purchases, and what was paid outside of the service */
                bought: number;
                /** @description Refunds of jobs */
                refunded: number;
                /** @description Taken from accounts by adjustments and refunds of purchases */
                taken: number;
                /** @description What the jobs created that day reserved */
                held: number;
                /** @description What they have cost so far */
                spent: number;
                /** @description Jobs created that day that are in progress */
                started: number;
                completed: number;
                /** @description Without those that expired */
                failed: number;
                expired: number;
                /** @description Paid that day */
                purchases: number;
                credits_bought: number;
            }[];
        };
        /**
         * @example {
         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
         *       "client_id": "https://assistant.example.com/client.json",
         *       "name": null,
         *       "app": "maps",
         *       "resource": "https://mcp.example.com/mcp",
         *       "scopes": [
         *         "account",
         *         "spend"
         *       ],
         *       "budget": 100,
         *       "period": "month",
         *       "spent": 40,
         *       "resets_at": "2026-12-01T00:00:00.000Z",
         *       "created_at": "2026-11-21T12:00:00.000Z",
         *       "last_used_at": null
         *     }
         */
        Grant: {
            /** Format: uuid */
            id: string;
            /** @description The program: the slug of an app, or the URL of its metadata document */
            client_id: string;
            /** @description The name of the registered app; null: it is not a registered app */
            name: string | null;
            /** @description The app that owns the resource; without a resource, the program itself */
            app: string | null;
            /** @description The API that its tokens are for; null: this service */
            resource: string | null;
            scopes: ("account" | "oauth" | "spend")[];
            /** @description Credits that it may spend in a period; null: no limit but the balance */
            budget: number | null;
            /**
             * @description How often the budget is reset, in UTC; weeks begin on Monday; null: never
             * @enum {string|null}
             */
            period: "day" | "week" | "month" | null;
            /** @description What its jobs hold and cost in the current period; null without a budget */
            spent: number | null;
            /**
             * Format: date-time
             * @description When the budget is reset; null: never
             */
            resets_at: string | null;
            /** Format: date-time */
            created_at: string;
            /** Format: date-time */
            last_used_at: string | null;
        };
        /**
         * @example {
         *       "jobs": 12,
         *       "completed": 9,
         *       "failed": 2,
         *       "credits": 41,
         *       "held": 5
         *     }
         */
        UsageSums: {
            /** @description Jobs that were created in the period */
            jobs: number;
            completed: number;
            /** @description Including expired jobs */
            failed: number;
            /** @description What the ended jobs cost, with overages and late charges. What an administrator refunded is not subtracted */
            credits: number;
            /** @description What the started jobs hold */
            held: number;
        };
        /**
         * @example {
         *       "key": "video",
         *       "app": "video",
         *       "jobs": 12,
         *       "completed": 9,
         *       "failed": 2,
         *       "credits": 41,
         *       "held": 5
         *     }
         */
        UsageRow: {
            /** @description The value that the row is grouped by; with several groupings all of their values, separated by slashes. null: jobs that were started without a token */
            key: string | null;
            /** @description With this grouping */
            app?: string | null;
            /** @description With this grouping */
            action?: string | null;
            /** @description With this grouping: id of the token that started the jobs, or of the grant that it belongs to */
            token?: string | null;
            /** @description With this grouping: a date, UTC */
            day?: string | null;
            /** @description With this grouping */
            plan?: string | null;
            /** @description With the grouping by token: the name of the token or grant; null once it is deleted */
            name?: string | null;
            /** @description Jobs that were created in the period */
            jobs: number;
            completed: number;
            /** @description Including expired jobs */
            failed: number;
            /** @description What the ended jobs cost, with overages and late charges. What an administrator refunded is not subtracted */
            credits: number;
            /** @description What the started jobs hold */
            held: number;
        };
        /**
         * @example {
         *       "from": "2026-10-28",
         *       "to": "2026-11-27",
         *       "rows": [
         *         {
         *           "key": "video",
         *           "app": "video",
         *           "jobs": 12,
         *           "completed": 9,
         *           "failed": 2,
         *           "credits": 41,
         *           "held": 5
         *         }
         *       ],
         *       "total": {
         *         "jobs": 12,
         *         "completed": 9,
         *         "failed": 2,
         *         "credits": 41,
         *         "held": 5
         *       },
         *       "more": false
         *     }
         */
        UsageResponse: {
            /**
             * Format: date
             * @description First day of the period, UTC
             */
            from: string;
            /**
             * Format: date
             * @description The day after the last day of the period
             */
            to: string;
            /** @description By day, newest first; without days, by credits, most first */
            rows: components["schemas"]["UsageRow"][];
            total: components["schemas"]["UsageSums"];
            /** @description true: there are more rows; the total includes them */
            more: boolean;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    checkHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Alive */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        status: string;
                    };
                };
            };
        };
    };
    checkReadiness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ready */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        status: string;
                    };
                };
            };
        };
    };
    getSessionToken: {
        parameters: {
            query?: {
                /** @description Name of a JWT template */
                template?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A session JWT: send it as Authorization: Bearer */
                        token: string;
                        /** Format: date-time */
                        expires_at: string;
                    };
                };
            };
        };
    };
    createSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "eyJhbGciOiJSUzI1NiJ9…"
                 *     }
                 */
                "application/json": {
                    token: string;
                    /** @description The name that our pages show to the person, such as an e-mail address; nobody else sees it */
                    name?: string;
                };
            };
        };
        responses: {
            /** @description Signed in */
            200: {
                headers: {
                    /** @description The session cookie, set or cleared */
                    "Set-Cookie"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** Format: date-time */
                        expires_at: string;
                    };
                };
            };
        };
    };
    deleteSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Signed out, or was not signed in */
            204: {
                headers: {
                    /** @description The session cookie, set or cleared */
                    "Set-Cookie"?: string;
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listTokens: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        tokens: {
                            /** Format: uuid */
                            id: string;
                            /** @description The name that it was given, or that the device gave at login */
                            name: string;
                            /** @description The last four characters of the token, to recognise it by */
                            last_four: string;
                            scopes: ("account" | "oauth" | "admin")[];
                            /** Format: date-time */
                            created_at: string;
                            /**
                             * Format: date-time
                             * @description When the token was last used, to the minute; null: never
                             */
                            last_used_at: string | null;
                            /** @description The address from which the token was last used, recorded with last_used_at; null: unknown */
                            last_used_from: string | null;
                            /** Format: date-time */
                            expires_at: string;
                            /**
                             * Format: uuid
                             * @description The token that created it; revoking that one revokes this one. null: a person created it
                             */
                            made_by: string | null;
                            /** @description Credits that it may spend; null: no limit */
                            budget: number | null;
                            /**
                             * @description How often the budget is reset; null: never
                             * @enum {string|null}
                             */
                            period: "day" | "week" | "month" | null;
                            /** @description The apps that it may spend at; null: all of them */
                            apps: string[] | null;
                            /** @description What its jobs hold and cost since the period began, or since it was first limited; null: it never was */
                            spent: number | null;
                            /** @description What is left of the budget; null: it has no budget */
                            left: number | null;
                            /**
                             * Format: date-time
                             * @description When the budget is reset; null: never
                             */
                            resets_at: string | null;
                            /** @description Whether this request was made with the token */
                            current: boolean;
                        }[];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Render server",
                 *       "budget": 50,
                 *       "period": "day",
                 *       "apps": [
                 *         "video"
                 *       ]
                 *     }
                 */
                "application/json": {
                    /** @description What it is for, such as the name of the server */
                    name: string;
                    /** @description What it may be used for; default: account */
                    scopes?: ("account" | "oauth" | "admin")[];
                    /** @description Default: the operator's setting (90) */
                    expires_in_days?: number;
                    /** @description Credits that it may spend, including what running jobs hold; null: no limit */
                    budget?: number | null;
                    /**
                     * @description How often the budget is reset, in UTC; weeks begin on Monday. null: never
                     * @enum {string|null}
                     */
                    period?: "day" | "week" | "month" | null;
                    /** @description The apps that it may spend at; null: all of them */
                    apps?: string[] | null;
                };
            };
        };
        responses: {
            /** @description Made */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The token; it is never shown again */
                        token: string;
                        /** Format: uuid */
                        id: string;
                        /** @description The name that it was given, or that the device gave at login */
                        name: string;
                        /** @description The last four characters of the token, to recognise it by */
                        last_four: string;
                        scopes: ("account" | "oauth" | "admin")[];
                        /** Format: date-time */
                        created_at: string;
                        /**
                         * Format: date-time
                         * @description When the token was last used, to the minute; null: never
                         */
                        last_used_at: string | null;
                        /** @description The address from which the token was last used, recorded with last_used_at; null: unknown */
                        last_used_from: string | null;
                        /** Format: date-time */
                        expires_at: string;
                        /**
                         * Format: uuid
                         * @description The token that created it; revoking that one revokes this one. null: a person created it
                         */
                        made_by: string | null;
                        /** @description Credits that it may spend; null: no limit */
                        budget: number | null;
                        /**
                         * @description How often the budget is reset; null: never
                         * @enum {string|null}
                         */
                        period: "day" | "week" | "month" | null;
                        /** @description The apps that it may spend at; null: all of them */
                        apps: string[] | null;
                        /** @description What its jobs hold and cost since the period began, or since it was first limited; null: it never was */
                        spent: number | null;
                        /** @description What is left of the budget; null: it has no budget */
                        left: number | null;
                        /**
                         * Format: date-time
                         * @description When the budget is reset; null: never
                         */
                        resets_at: string | null;
                        /** @description Whether this request was made with the token */
                        current: boolean;
                    };
                };
            };
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a token, or `current` */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked, now or before */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    changeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a token, or `current` */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "budget": 100,
                 *       "period": "week"
                 *     }
                 */
                "application/json": {
                    name?: string;
                    /** @description Credits that it may spend, including what running jobs hold; null: no limit */
                    budget?: number | null;
                    /**
                     * @description How often the budget is reset, in UTC; weeks begin on Monday. null: never
                     * @enum {string|null}
                     */
                    period?: "day" | "week" | "month" | null;
                    /** @description The apps that it may spend at; null: all of them */
                    apps?: string[] | null;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /**
                         * @example {
                         *       "id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
                         *       "name": "focus on ada-laptop",
                         *       "last_four": "x4Kq",
                         *       "scopes": [
                         *         "account"
                         *       ],
                         *       "created_at": "2026-11-21T12:00:00.000Z",
                         *       "last_used_at": "2026-11-21T12:30:00.000Z",
                         *       "last_used_from": "203.0.113.9",
                         *       "expires_at": "2027-02-19T12:00:00.000Z",
                         *       "made_by": null,
                         *       "budget": 50,
                         *       "period": "day",
                         *       "apps": [
                         *         "video"
                         *       ],
                         *       "spent": 12,
                         *       "left": 38,
                         *       "resets_at": "2026-11-22T00:00:00.000Z",
                         *       "current": true
                         *     }
                         */
                        token: {
                            /** Format: uuid */
                            id: string;
                            /** @description The name that it was given, or that the device gave at login */
                            name: string;
                            /** @description The last four characters of the token, to recognise it by */
                            last_four: string;
                            scopes: ("account" | "oauth" | "admin")[];
                            /** Format: date-time */
                            created_at: string;
                            /**
                             * Format: date-time
                             * @description When the token was last used, to the minute; null: never
                             */
                            last_used_at: string | null;
                            /** @description The address from which the token was last used, recorded with last_used_at; null: unknown */
                            last_used_from: string | null;
                            /** Format: date-time */
                            expires_at: string;
                            /**
                             * Format: uuid
                             * @description The token that created it; revoking that one revokes this one. null: a person created it
                             */
                            made_by: string | null;
                            /** @description Credits that it may spend; null: no limit */
                            budget: number | null;
                            /**
                             * @description How often the budget is reset; null: never
                             * @enum {string|null}
                             */
                            period: "day" | "week" | "month" | null;
                            /** @description The apps that it may spend at; null: all of them */
                            apps: string[] | null;
                            /** @description What its jobs hold and cost since the period began, or since it was first limited; null: it never was */
                            spent: number | null;
                            /** @description What is left of the budget; null: it has no budget */
                            left: number | null;
                            /**
                             * Format: date-time
                             * @description When the budget is reset; null: never
                             */
                            resets_at: string | null;
                            /** @description Whether this request was made with the token */
                            current: boolean;
                        };
                    };
                };
            };
        };
    };
    listGrants: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        grants: components["schemas"]["Grant"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    revokeGrant: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked, now or before */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    changeGrant: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "budget": 200,
                 *       "period": "month"
                 *     }
                 */
                "application/json": {
                    /** @description Credits that it may spend in a period; null: no limit but the balance */
                    budget?: number | null;
                    /**
                     * @description How often the budget is reset, in UTC; weeks begin on Monday; null: never
                     * @enum {string|null}
                     */
                    period?: "day" | "week" | "month" | null;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        grant: components["schemas"]["Grant"];
                    };
                };
            };
        };
    };
    getWallet: {
        parameters: {
            query?: {
                /** @description App slug to upsert and possibly grant starter credits */
                app?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WalletResponse"];
                };
            };
        };
    };
    listEntries: {
        parameters: {
            query?: {
                /** @description Max results (default 50). In CSV the default is all of them */
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
                kind?: "starter_grant" | "admin_grant" | "topup" | "adjustment" | "job_reserve" | "job_refund" | "job_overage" | "job_release" | "job_expire" | "job_late_charge" | "topup_refund" | "topup_reinstated";
                /** @description Entries of the jobs of this app, and of its starter credits */
                app?: string;
                /** @description Entries of the jobs that this token made, or the tokens of this grant */
                token?: string;
                /** @description Posted at this time or later: a date (UTC) or a time */
                from?: string;
                /** @description Posted before this time: a date (UTC) or a time */
                to?: string;
                /** @description Only entries up to this time. Without other filters, the balance at that time is balance_after of the first one; 0 without entries */
                until?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Entries. In CSV with `limit`, a Link header leads to the next page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        entries: components["schemas"]["Entry"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                    "text/csv": string;
                };
            };
        };
    };
    listJobs: {
        parameters: {
            query?: {
                /** @description With X-App-Key: the account of the jobs, as POST /api/jobs returned it. Then no user token is needed */
                account_id?: string;
                /** @description Filter by app slug */
                app?: string;
                status?: "started" | "completed" | "failed";
                /** @description Jobs that this token made, or the tokens of this grant */
                token?: string;
                /** @description Created at this time or later: a date (UTC) or a time */
                from?: string;
                /** @description Created before this time: a date (UTC) or a time */
                to?: string;
                /** @description Max results (default 50) */
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of jobs, newest first. It ends at 1 MiB; with `token`, also after some 400 jobs that others made */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        jobs: components["schemas"]["Job"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    createJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description Repeating a request with the same key creates the job only once */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobStartRequest"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    /** @description true if an earlier request with this key created the job */
                    "Idempotency-Replayed"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobStartResponse"];
                };
            };
        };
    };
    getJob: {
        parameters: {
            query?: {
                /** @description With X-App-Key: the account of the jobs, as POST /api/jobs returned it. Then no user token is needed */
                account_id?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        job: components["schemas"]["Job"];
                    };
                };
            };
        };
    };
    getUsage: {
        parameters: {
            query?: {
                /** @description One or several of app, action, token, day, with commas: rows for each combination */
                group_by?: string;
                /** @description First day, UTC. Default: 30 days before `to` */
                from?: string;
                /** @description The day after the last, at most 400 days after `from`. Default: tomorrow, so that today is included */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK. The total counts every job of the period once */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsageResponse"];
                    "text/csv": string;
                };
            };
        };
    };
    getTotalUsage: {
        parameters: {
            query?: {
                /** @description One or several of app, day, plan, with commas: rows for each combination */
                group_by?: string;
                /** @description First day, UTC. Default: 30 days before `to` */
                from?: string;
                /** @description The day after the last, at most 400 days after `from`. Default: tomorrow, so that today is included */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK. The total counts every job of the period once */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsageResponse"];
                    "text/csv": string;
                };
            };
        };
    };
    startDeviceLogin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /**
                 * @example {
                 *       "client_name": "focus on ada-laptop",
                 *       "scope": "account"
                 *     }
                 */
                "application/json": {
                    /** @description The name of the device, such as the program and the machine; shown to the person */
                    client_name?: string;
                    /** @description What the token may be used for, separated by spaces: account, oauth, admin; default: account */
                    scope?: string;
                } | null;
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A secret of the device, with which it asks for the token */
                        device_code: string;
                        /** @description The code that the person types or compares */
                        user_code: string;
                        /** @description The page where the person types the code */
                        verification_uri: string;
                        /** @description The same page with the code filled in */
                        verification_uri_complete: string;
                        /** @description Seconds until the code expires */
                        expires_in: number;
                        /** @description Seconds to wait between two requests for the token */
                        interval: number;
                    };
                };
            };
        };
    };
    pollDeviceLoginByQuery: {
        parameters: {
            query: {
                /** @description The device_code that /api/device/start returned */
                device_code: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The token. For a minute, a repeated poll gets the same answer, in case the first was lost */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A personal access token: send it as Authorization: Bearer */
                        token: string;
                        token_type: string;
                        /** Format: date-time */
                        expires_at: string;
                        /** @description What the account page calls the person who approved, such as an e-mail address; null if unknown */
                        name: string | null;
                    };
                };
            };
            /** @description Pending: the person has not decided yet */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        status: string;
                        /** @description Seconds to wait before the next poll */
                        interval: number;
                    };
                };
            };
        };
    };
    pollDeviceLogin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS_4"
                 *     }
                 */
                "application/json": {
                    /** @description The device_code that /api/device/start returned */
                    device_code: string;
                };
            };
        };
        responses: {
            /** @description The token. For a minute, a repeated poll gets the same answer, in case the first was lost */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A personal access token: send it as Authorization: Bearer */
                        token: string;
                        token_type: string;
                        /** Format: date-time */
                        expires_at: string;
                        /** @description What the account page calls the person who approved, such as an e-mail address; null if unknown */
                        name: string | null;
                    };
                };
            };
            /** @description Pending: the person has not decided yet */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        status: string;
                        /** @description Seconds to wait before the next poll */
                        interval: number;
                    };
                };
            };
        };
    };
    completeDeviceLogin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user_code": "WDJB-1234",
                 *       "action": "approve"
                 *     }
                 */
                "application/json": {
                    /** @description As typed; case, dashes and spaces do not matter */
                    user_code: string;
                    /**
                     * @default approve
                     * @enum {string}
                     */
                    action?: "approve" | "deny";
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        ok: boolean;
                    };
                };
            };
        };
    };
    getAuthorizationServerMetadata: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        issuer: string;
                        authorization_endpoint: string;
                        token_endpoint: string;
                        device_authorization_endpoint: string;
                        revocation_endpoint: string;
                        introspection_endpoint: string;
                        scopes_supported: string[];
                        response_types_supported: string[];
                        response_modes_supported: string[];
                        grant_types_supported: string[];
                        token_endpoint_auth_methods_supported: string[];
                        revocation_endpoint_auth_methods_supported: string[];
                        introspection_endpoint_auth_methods_supported: string[];
                        code_challenge_methods_supported: string[];
                        authorization_response_iss_parameter_supported: boolean;
                        /** @description A client_id may be the https URL of a document that describes the client */
                        client_id_metadata_document_supported: boolean;
                        protected_resources: string[];
                        service_documentation: string;
                    };
                };
            };
        };
    };
    getProtectedResourceMetadata: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        resource: string;
                        resource_name: string;
                        authorization_servers: string[];
                        scopes_supported: string[];
                        bearer_methods_supported: string[];
                        resource_documentation: string;
                    };
                };
            };
        };
    };
    requestToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "grant_type": "authorization_code",
                 *       "client_id": "video",
                 *       "code": "SplxlOBeZQQYbYS6WxSbIA4dFmL8nbA1kTZ2xR0vQpE",
                 *       "redirect_uri": "https://video.example.com/callback",
                 *       "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
                 *     }
                 */
                "application/x-www-form-urlencoded": {
                    /** @description authorization_code, refresh_token or urn:ietf:params:oauth:grant-type:device_code */
                    grant_type: string;
                    /** @description The slug of a registered app, or the https URL of a client metadata document */
                    client_id: string;
                    /** @description The code that /oauth/authorize sent to redirect_uri */
                    code?: string;
                    /** @description As it was sent to /oauth/authorize */
                    redirect_uri?: string;
                    /** @description The value that code_challenge was computed from */
                    code_verifier?: string;
                    refresh_token?: string;
                    /** @description The code that /oauth/device_authorization returned */
                    device_code?: string;
                    /** @description With a refresh token: a subset of its scopes, for the new access token */
                    scope?: string;
                    /** @description The resource that was approved (RFC 8707) */
                    resource?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Send it as Authorization: Bearer */
                        access_token: string;
                        token_type: string;
                        /** @description Seconds until the access token expires */
                        expires_in: number;
                        /** @description Gets the next tokens; each works once. Absent with the device grant */
                        refresh_token?: string;
                        /** @description What the access token may be used for, separated by spaces */
                        scope: string;
                        /** @description With the device grant: what the account page calls the person, such as an e-mail address; absent if unknown */
                        name?: string;
                    };
                };
            };
        };
    };
    revokeOAuthToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "focus_rt_9Kd1…",
                 *       "client_id": "video"
                 *     }
                 */
                "application/x-www-form-urlencoded": {
                    /** @description A refresh token: revokes all tokens from the same code. An access token: revokes itself */
                    token: string;
                    /** @description The slug of a registered app, or the https URL of a client metadata document */
                    client_id: string;
                    /** @description Not needed: our tokens say what they are */
                    token_type_hint?: string;
                };
            };
        };
        responses: {
            /** @description The token does not work any more */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
        };
    };
    startDeviceAuthorization: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "client_id": "focus-cli",
                 *       "scope": "account"
                 *     }
                 */
                "application/x-www-form-urlencoded": {
                    /** @description A name of the program, shown to the person */
                    client_id: string;
                    /** @description account (the default), oauth and admin, separated by spaces */
                    scope?: string;
                    /** @description Shown instead of client_id, such as the program and the machine */
                    client_name?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description A secret of the device, with which it asks for the token */
                        device_code: string;
                        /** @description The code that the person types or compares */
                        user_code: string;
                        /** @description The page where the person types the code */
                        verification_uri: string;
                        /** @description The same page with the code filled in */
                        verification_uri_complete: string;
                        /** @description Seconds until the code expires */
                        expires_in: number;
                        /** @description Seconds to wait between two requests for the token */
                        interval: number;
                    };
                };
            };
        };
    };
    introspectToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "focus_at_2Nf8…"
                 *     }
                 */
                "application/x-www-form-urlencoded": {
                    /** @description An access token that a client has sent you */
                    token: string;
                    /** @description Not needed: our tokens say what they are */
                    token_type_hint?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description false: the token is not from a grant for your app, or has ended. Then there are no other fields */
                        active: boolean;
                        /**
                         * Format: uuid
                         * @description The account id of the person
                         */
                        sub?: string;
                        /** @description With scope account: what the account page calls the person, such as an e-mail address; absent if unknown */
                        username?: string;
                        /** @description The program that the token was issued to */
                        client_id?: string;
                        /** @description Separated by spaces */
                        scope?: string;
                        /** @description The resource that the token is for. Refuse a token for a resource that is not yours */
                        aud?: string;
                        iss?: string;
                        /** @description Seconds since 1970 */
                        iat?: number;
                        /** @description Seconds since 1970 */
                        exp?: number;
                        token_type?: string;
                        /**
                         * Format: uuid
                         * @description The grant that the person approved; POST /api/jobs accepts it
                         */
                        grant_id?: string;
                    };
                };
            };
        };
    };
    listOAuthConnections: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        connections: {
                            /** @description The name of the provider, without oauth_ */
                            provider: string;
                            external_account_id: string;
                            /** @description What the provider calls the account: a user name or an e-mail address */
                            name: string | null;
                            /** @description What the person has allowed */
                            scopes: string[];
                        }[];
                    };
                };
            };
        };
    };
    getOAuthToken: {
        parameters: {
            query?: {
                /** @description Selects one of several connected accounts; default: the first whose token has not expired */
                external_account_id?: string;
            };
            header?: never;
            path: {
                /** @description Such as x, google or github, with or without oauth_ */
                provider: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The provider's access token */
                        token: string;
                        /** @description The name of the provider, without oauth_ */
                        provider: string;
                        scopes: string[];
                        /** Format: date-time */
                        expires_at: string | null;
                        /** @description The connected account that the token is for */
                        external_account_id: string;
                    };
                };
            };
        };
    };
    getXToken: {
        parameters: {
            query?: {
                /** @description Selects one of several connected accounts; default: the first whose token has not expired */
                external_account_id?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The provider's access token */
                        token: string;
                        /** @description The name of the provider, without oauth_ */
                        provider: string;
                        scopes: string[];
                        /** Format: date-time */
                        expires_at: string | null;
                        /** @description The connected account that the token is for */
                        external_account_id: string;
                    };
                };
            };
        };
    };
    getXMe: {
        parameters: {
            query?: {
                "user.fields"?: string;
                expansions?: string;
                "tweet.fields"?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description X's answer, unchanged */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        [key: string]: unknown;
                    };
                };
            };
        };
    };
    completeJob: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobCompleteRequest"];
            };
        };
        responses: {
            /** @description OK; repeating the request changes nothing */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobSettled"];
                };
            };
        };
    };
    failJob: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobFailRequest"];
            };
        };
        responses: {
            /** @description OK; repeating the request changes nothing */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobSettled"];
                };
            };
        };
    };
    heartbeatJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["HeartbeatRequest"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        job: components["schemas"]["Job"];
                    };
                };
            };
        };
    };
    adjustCredits: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "clerk_id": "user_2abc",
                 *       "amount": 100,
                 *       "kind": "topup",
                 *       "reference": "pi_3Q",
                 *       "reason": "Bought 100 credits"
                 *     }
                 */
                "application/json": {
                    /** @description The Clerk user id */
                    clerk_id: string;
                    /** @description Credits, not 0; a negative amount removes credits */
                    amount: number;
                    /** @enum {string} */
                    kind: "topup" | "admin_grant" | "adjustment";
                    /** @description Unique per account, such as the id of a payment: repeating the request changes nothing */
                    reference: string;
                    reason: string;
                    /** @default false */
                    allow_negative?: boolean;
                    /**
                     * @description With a service key: open the account if it does not exist
                     * @default false
                     */
                    create?: boolean;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account: components["schemas"]["Account"];
                        entry: components["schemas"]["Entry"];
                    };
                };
            };
        };
    };
    revokeAccountTokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "clerk_id": "user_2abc"
                 *     }
                 */
                "application/json": {
                    /** @description The Clerk user id */
                    clerk_id: string;
                    /** @description For the audit log */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description How many tokens stopped working */
                        revoked: number;
                    };
                };
            };
        };
    };
    closeAccount: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "clerk_id": "user_2abc"
                 *     }
                 */
                "application/json": {
                    /** @description The Clerk user id */
                    clerk_id: string;
                    /** @description For the audit log */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description Closed; repeating the request changes nothing */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account: components["schemas"]["Account"];
                    };
                };
            };
        };
    };
    eraseAccount: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "clerk_id": "user_2abc"
                 *     }
                 */
                "application/json": {
                    /** @description The Clerk user id */
                    clerk_id: string;
                    /** @description For the audit log */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description Erased; repeating the request changes nothing */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account: components["schemas"]["Account"];
                    };
                };
            };
        };
    };
    verifyLedger: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description ok: no check found a violation */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        ok: boolean;
                        checks: {
                            name: string;
                            /** @description How many rows violate it */
                            violations: number;
                            examples: {
                                [key: string]: unknown;
                            }[];
                            /** @description What it means where it does not hold */
                            meaning: string;
                            /** @description What to do then */
                            remedy: string;
                        }[];
                    };
                };
            };
        };
    };
    listAccounts: {
        parameters: {
            query?: {
                /** @description The Clerk user id: answers one account */
                clerk_id?: string;
                /** @description Finds by Clerk id, account id, job id, id of a purchase or payment, reference of an entry, the last four characters of a token, or e-mail address. At most 50 accounts, without a cursor */
                q?: string;
                /** @description true: only those below zero, by account id */
                negative?: boolean;
                /** @description true: only closed ones; false: only open ones */
                closed?: boolean;
                /** @description By when they were opened; with `closed=true`, by when they were closed */
                sort?: "newest" | "oldest";
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account?: components["schemas"]["Account"];
                        accounts?: components["schemas"]["AdminAccount"][];
                        /** @description null on the last page */
                        next_cursor?: string | null;
                    };
                };
            };
        };
    };
    getAccount: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The account id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account: components["schemas"]["AdminAccount"];
                    };
                };
            };
        };
    };
    listAccountEntries: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The account id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        entries: components["schemas"]["Entry"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listAccountJobs: {
        parameters: {
            query?: {
                /** @description Lowercase letters, digits and hyphens */
                app?: string;
                status?: "started" | "completed" | "failed";
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The account id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        jobs: components["schemas"]["Job"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listAccountTokens: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The account id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        tokens: {
                            /** Format: uuid */
                            id: string;
                            /** @description The name that it was given, or that the device gave at login */
                            name: string;
                            /** @description The last four characters of the token, to recognise it by */
                            last_four: string;
                            scopes: ("account" | "oauth" | "admin")[];
                            /** Format: date-time */
                            created_at: string;
                            /**
                             * Format: date-time
                             * @description When the token was last used, to the minute; null: never
                             */
                            last_used_at: string | null;
                            /** @description The address from which the token was last used, recorded with last_used_at; null: unknown */
                            last_used_from: string | null;
                            /** Format: date-time */
                            expires_at: string;
                            /**
                             * Format: uuid
                             * @description The token that created it; revoking that one revokes this one. null: a person created it
                             */
                            made_by: string | null;
                            /** @description Credits that it may spend; null: no limit */
                            budget: number | null;
                            /**
                             * @description How often the budget is reset; null: never
                             * @enum {string|null}
                             */
                            period: "day" | "week" | "month" | null;
                            /** @description The apps that it may spend at; null: all of them */
                            apps: string[] | null;
                            /** @description What its jobs hold and cost since the period began, or since it was first limited; null: it never was */
                            spent: number | null;
                            /** @description What is left of the budget; null: it has no budget */
                            left: number | null;
                            /**
                             * Format: date-time
                             * @description When the budget is reset; null: never
                             */
                            resets_at: string | null;
                            /** @description Whether this request was made with the token */
                            current: boolean;
                        }[];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listAccountGrants: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The account id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        grants: components["schemas"]["Grant"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listAccountPurchases: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The account id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        purchases: components["schemas"]["Purchase"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    revokeTokenOfAccount: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The account id */
                id: string;
                token_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked, now or before */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    revokeGrantOfAccount: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The account id */
                id: string;
                grant_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Ended, now or before */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    setApp: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Lowercase letters, digits and hyphens */
                slug: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Video",
                 *       "starter_credits": 20,
                 *       "origins": [
                 *         "https://video.example.com"
                 *       ],
                 *       "redirect_uris": [
                 *         "https://video.example.com/callback"
                 *       ]
                 *     }
                 */
                "application/json": {
                    name?: string;
                    /** @description Granted once to each account that uses the app for the first time from now on; 0 for a new app */
                    starter_credits?: number;
                    /** @description How far the cost of a job may exceed its estimate; completing it for more charges up to this limit. null: no limit */
                    max_overage?: {
                        /** @description Credits beyond the estimate */
                        credits?: number;
                        /** @description Per cent of the estimate beyond it; 200: three times the estimate in all */
                        percent?: number;
                    } | null;
                    /** @description Exact web origins. A page of such an origin can use the whole account of its visitor */
                    origins?: string[];
                    /** @description Where a sign-in may return to at the origins: a path, or with a slash at its end all paths below it. Empty: everywhere */
                    return_paths?: string[];
                    /** @description Where OAuth sends people back to: https, or http on a loopback address, with any port there. Compared character by character */
                    redirect_uris?: string[];
                    /** @description URLs of the app's own APIs that OAuth tokens can be for (RFC 8707); no other app can have the same */
                    resources?: string[];
                    /**
                     * @description rotate: make a new settle key and return it once; the previous one works for ten more minutes. remove: all keys stop working at once, and a user's token can settle the app's jobs again
                     * @enum {string}
                     */
                    settle_key?: "rotate" | "remove";
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        app: components["schemas"]["App"];
                    };
                };
            };
        };
    };
    listApps: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        apps: components["schemas"]["App"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listAllJobs: {
        parameters: {
            query?: {
                status?: "started" | "completed" | "failed";
                /** @description true: only jobs in progress whose hold is past its time */
                overdue?: boolean;
                /** @description Only jobs of this app */
                app?: string;
                /** @description Only jobs of this account */
                account?: string;
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK. A page ends at 1 MiB */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        jobs: components["schemas"]["AdminJob"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    getAnyJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        job: components["schemas"]["AdminJob"];
                        refunds: components["schemas"]["Entry"][];
                    };
                };
            };
        };
    };
    refundJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
                 *       "reason": "The render was black"
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The job's account
                     */
                    account_id: string;
                    /** @description Credits; default: what the job cost and other parts have not given back */
                    amount?: number;
                    /**
                     * @description Counts the refunds of one job, which together never exceed its cost
                     * @default 1
                     */
                    part?: number;
                    reason: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account: components["schemas"]["Account"];
                        entry: components["schemas"]["Entry"];
                        /** @description What was given back of the job in all */
                        refunded: number;
                    };
                };
            };
        };
    };
    endJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "account_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f",
                 *       "reason": "The worker is gone"
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uuid
                     * @description The job's account
                     */
                    account_id: string;
                    /**
                     * @description false: the job costs what it reserved, instead of nothing
                     * @default true
                     */
                    refund?: boolean;
                    /** @description For the audit log */
                    reason: string;
                };
            };
        };
        responses: {
            /** @description Ended, now or before */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        account: components["schemas"]["Account"];
                        job: components["schemas"]["Job"];
                    };
                };
            };
        };
    };
    listServiceKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        keys: components["schemas"]["ServiceKey"][];
                    };
                };
            };
        };
    };
    createServiceKey: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "Payment server",
                 *       "scopes": [
                 *         "topup"
                 *       ]
                 *     }
                 */
                "application/json": {
                    name: string;
                    scopes: "topup"[];
                };
            };
        };
        responses: {
            /** @description Made */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        key: components["schemas"]["ServiceKey"];
                    };
                };
            };
        };
    };
    revokeServiceKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Revoked */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getOverview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        overview: components["schemas"]["Overview"];
                    };
                };
            };
        };
    };
    listActions: {
        parameters: {
            query?: {
                /** @description Only what concerns this account */
                account_id?: string;
                /** @description Only what the administrator with this account did */
                administrator?: string;
                /** @description Only this operation id */
                action?: string;
                /** @description Only this target, such as `app video` */
                target?: string;
                /** @description Only changes at this time or later: a date (UTC) or a time */
                from?: string;
                /** @description Only changes before this time: a date (UTC) or a time */
                to?: string;
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK. A page ends at 1 MiB */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        actions: components["schemas"]["AdminAction"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listPacks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        packs: components["schemas"]["Pack"][];
                    };
                };
            };
        };
    };
    listAllPacks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        packs: components["schemas"]["AdminPack"][];
                    };
                };
            };
        };
    };
    setPack: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Lowercase letters, digits and hyphens */
                slug: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "name": "100 credits",
                 *       "credits": 100,
                 *       "price": 500,
                 *       "currency": "usd"
                 *     }
                 */
                "application/json": {
                    name: string;
                    credits: number;
                    /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
                    price: number;
                    /** @description ISO 4217, lowercase */
                    currency: string;
                    /** @description A one-time price at Stripe, of the same amount */
                    stripe_price_id?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        pack: components["schemas"]["Pack"];
                    };
                };
            };
        };
    };
    removePack: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Lowercase letters, digits and hyphens */
                slug: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Not sold any more */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    listAllPurchases: {
        parameters: {
            query?: {
                status?: "open" | "processing" | "paid" | "failed" | "expired";
                /** @description true: only those whose payment is disputed; not together with `status` */
                disputed?: boolean;
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        purchases: components["schemas"]["AdminPurchase"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listPurchases: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        purchases: components["schemas"]["Purchase"][];
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    createPurchase: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "pack": "small",
                 *       "return_to": "https://video.example.com/"
                 *     }
                 */
                "application/json": {
                    /** @description Lowercase letters, digits and hyphens */
                    pack: string;
                    /** @description Where the person goes on when it is paid: an address of an allowed origin, or a page of this service */
                    return_to?: string;
                };
            };
        };
        responses: {
            /** @description Begun. Repeated within ten minutes, and not paid yet: the same purchase */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        purchase: components["schemas"]["Purchase"];
                        checkout_url: string;
                    };
                };
            };
        };
    };
    getPurchase: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        purchase: components["schemas"]["Purchase"];
                    };
                };
            };
        };
    };
    setAutoTopup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "pack": "small",
                 *       "below": 20,
                 *       "monthly_cap": 5000
                 *     }
                 */
                "application/json": {
                    /** @description Lowercase letters, digits and hyphens */
                    pack: string;
                    below: number;
                    /** @description In the currency's minor unit: 500 is $5.00 or ¥500 */
                    monthly_cap: number;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        auto_topup: components["schemas"]["AutoTopup"];
                        /** @description Where to give a card; null: one is saved */
                        card_url: string | null;
                    };
                };
            };
        };
    };
    removeAutoTopup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Off, now or before */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    resumeAutoTopup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        auto_topup: components["schemas"]["AutoTopup"];
                    };
                };
            };
        };
    };
    listWebhookEndpoints: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description Lowercase letters, digits and hyphens */
                slug: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        endpoints: components["schemas"]["WebhookEndpoint"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    createWebhookEndpoint: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Lowercase letters, digits and hyphens */
                slug: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://video.example.com/hooks/focus",
                 *       "events": [
                 *         "job.completed",
                 *         "job.failed"
                 *       ]
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uri
                     * @description An https URL; in production its address must be public. Elsewhere http is allowed
                     */
                    url: string;
                    events: ("job.completed" | "job.failed" | "account.low" | "account.recovered" | "account.negative" | "budget.low" | "budget.exceeded")[];
                    /** @description Required with account.low and account.recovered */
                    low_credits?: number;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        endpoint: components["schemas"]["WebhookEndpoint"];
                        /** @description The key to check signatures with; returned only here */
                        secret: string;
                    };
                };
            };
        };
    };
    getWebhookEndpoint: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        endpoint: components["schemas"]["WebhookEndpoint"];
                    };
                };
            };
        };
    };
    deleteWebhookEndpoint: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Removed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    updateWebhookEndpoint: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "paused": true
                 *     }
                 */
                "application/json": {
                    /**
                     * Format: uri
                     * @description An https URL; in production its address must be public. Elsewhere http is allowed
                     */
                    url?: string;
                    events?: ("job.completed" | "job.failed" | "account.low" | "account.recovered" | "account.negative" | "budget.low" | "budget.exceeded")[];
                    /** @description Required with account.low and account.recovered */
                    low_credits?: number;
                    /** @description While it is paused, its messages wait */
                    paused?: boolean;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        endpoint: components["schemas"]["WebhookEndpoint"];
                    };
                };
            };
        };
    };
    rotateWebhookSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The key to check signatures with; returned only here */
                        secret: string;
                    };
                };
            };
        };
    };
    sendTestWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It will be sent */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /**
                         * Format: uuid
                         * @description The webhook-id header
                         */
                        message_id: string;
                    };
                };
            };
        };
    };
    listWebhookDeliveries: {
        parameters: {
            query?: {
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        deliveries: components["schemas"]["WebhookDelivery"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    listDeadWebhookMessages: {
        parameters: {
            query?: {
                endpoint_id?: string;
                limit?: number;
                /** @description next_cursor of the previous page */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK. A page ends at 1 MiB */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        messages: components["schemas"]["WebhookMessage"][];
                        /** @description null on the last page */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    replayWebhookMessages: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "endpoint_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f"
                 *     }
                 */
                "application/json": {
                    /** Format: uuid */
                    endpoint_id: string;
                    /**
                     * Format: uuid
                     * @description Only this message
                     */
                    message_id?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description How many messages will be retried */
                        replayed: number;
                        /** @description There are more dead messages than one call handles: call again */
                        more: boolean;
                    };
                };
            };
        };
    };
    dismissDeadWebhookMessages: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "endpoint_id": "0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f"
                 *     }
                 */
                "application/json": {
                    /** Format: uuid */
                    endpoint_id: string;
                    /**
                     * Format: uuid
                     * @description Only this message
                     */
                    message_id?: string;
                };
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description How many messages were deleted */
                        dismissed: number;
                        /** @description There are more dead messages than one call handles: call again */
                        more: boolean;
                    };
                };
            };
        };
    };
    openSignInPage: {
        parameters: {
            query?: {
                /** @description Absolute URL to send the user back to after sign-in */
                redirect_to?: string;
                /** @description Where redirect_to receives the token: in its query (the default), in its fragment, or not at all */
                token_in?: "query" | "fragment" | "none";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description HTML sign-in UI */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
        };
    };
    authorize: {
        parameters: {
            query: {
                /** @description code */
                response_type: string;
                /** @description The slug of a registered app, or the https URL of a client metadata document */
                client_id: string;
                /** @description A registered one; on the loopback interface the port may differ */
                redirect_uri: string;
                /** @description account (the default) and oauth, separated by spaces */
                scope?: string;
                /** @description Sent back unchanged */
                state?: string;
                /** @description The SHA-256 of code_verifier in base64url */
                code_challenge: string;
                /** @description S256 */
                code_challenge_method: string;
                /** @description The API that the tokens are for (RFC 8707): a resource of a registered app; default: this API */
                resource?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The consent page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
        };
    };
}

/** The error codes of each operation. */
export interface ErrorCodes {
    checkHealth: 'local_identity';
    checkReadiness: 'database_unavailable' | 'internal_error' | 'local_identity' | 'migrations_pending' | 'shutting_down';
    getSessionToken: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_ended' | 'session_pending' | 'template_not_found' | 'token_expired' | 'token_not_active_yet' | 'token_not_available' | 'token_not_renewable' | 'token_revoked';
    createSession: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    deleteSession: 'database_unavailable' | 'internal_error' | 'invalid_request' | 'local_identity' | 'origin_not_allowed' | 'overloaded' | 'rate_limited';
    listTokens: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    createToken: 'account_closed' | 'body_too_large' | 'budget_too_wide' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_tokens' | 'unsupported_media_type';
    changeToken: 'account_closed' | 'body_too_large' | 'budget_too_wide' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_not_found' | 'token_revoked' | 'unsupported_media_type';
    revokeToken: 'account_closed' | 'budget_too_wide' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_not_found' | 'token_revoked';
    listGrants: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    changeGrant: 'account_closed' | 'body_too_large' | 'budget_too_wide' | 'database_unavailable' | 'grant_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    revokeGrant: 'account_closed' | 'budget_too_wide' | 'database_unavailable' | 'grant_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    getWallet: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listEntries: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    createJob: 'account_closed' | 'app_not_allowed' | 'body_too_large' | 'budget_exceeded' | 'database_unavailable' | 'grant_ambiguous' | 'grant_required' | 'idempotency_key_reused' | 'identity_provider_unavailable' | 'insufficient_credits' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'job_already_ended' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'settle_key_in_browser' | 'settle_key_invalid' | 'settle_key_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    listJobs: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'settle_key_in_browser' | 'settle_key_invalid' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    getJob: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'job_not_found' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'settle_key_in_browser' | 'settle_key_invalid' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    getUsage: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    getTotalUsage: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    startDeviceLogin: 'body_too_large' | 'database_unavailable' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited' | 'too_many_attempts' | 'unsupported_media_type';
    pollDeviceLoginByQuery: 'access_denied' | 'already_used' | 'database_unavailable' | 'expired_token' | 'internal_error' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited' | 'slow_down' | 'unknown_device_code';
    pollDeviceLogin: 'access_denied' | 'already_used' | 'body_too_large' | 'database_unavailable' | 'expired_token' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited' | 'slow_down' | 'unknown_device_code' | 'unsupported_media_type';
    completeDeviceLogin: 'account_closed' | 'already_used' | 'body_too_large' | 'database_unavailable' | 'expired_token' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_code' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_attempts' | 'too_many_tokens' | 'unsupported_media_type';
    getAuthorizationServerMetadata: 'database_unavailable' | 'internal_error' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited';
    getProtectedResourceMetadata: 'database_unavailable' | 'internal_error' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited';
    requestToken: 'access_denied' | 'authorization_pending' | 'body_too_large' | 'database_unavailable' | 'expired_token' | 'internal_error' | 'invalid_client' | 'invalid_grant' | 'invalid_request' | 'invalid_scope' | 'invalid_target' | 'local_identity' | 'overloaded' | 'rate_limited' | 'slow_down' | 'too_many_attempts' | 'unsupported_grant_type';
    revokeOAuthToken: 'body_too_large' | 'database_unavailable' | 'internal_error' | 'invalid_client' | 'invalid_grant' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited';
    startDeviceAuthorization: 'body_too_large' | 'database_unavailable' | 'internal_error' | 'invalid_client' | 'invalid_request' | 'invalid_scope' | 'local_identity' | 'overloaded' | 'rate_limited' | 'too_many_attempts';
    introspectToken: 'body_too_large' | 'database_unavailable' | 'internal_error' | 'invalid_client' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited' | 'settle_key_in_browser';
    listOAuthConnections: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'user_not_found';
    getOAuthToken: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_connected' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'reconnect_required' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unknown_provider' | 'user_not_found';
    getXToken: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_connected' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'reconnect_required' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unknown_provider' | 'user_not_found';
    getXMe: 'internal_error' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited' | 'upstream_error' | 'x_token_required';
    completeJob: 'account_closed' | 'app_not_allowed' | 'balance_out_of_range' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'job_already_ended' | 'job_not_found' | 'job_outside_limits' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'settle_key_in_browser' | 'settle_key_invalid' | 'settle_key_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    failJob: 'account_closed' | 'app_not_allowed' | 'balance_out_of_range' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'job_already_ended' | 'job_not_found' | 'job_outside_limits' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'settle_key_in_browser' | 'settle_key_invalid' | 'settle_key_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    heartbeatJob: 'account_closed' | 'app_not_allowed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'job_already_ended' | 'job_not_found' | 'job_outside_limits' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'settle_key_in_browser' | 'settle_key_invalid' | 'settle_key_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    adjustCredits: 'account_closed' | 'account_not_found' | 'balance_out_of_range' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_service_key' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'reference_reused' | 'service_key_in_browser' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type' | 'would_go_negative';
    revokeAccountTokens: 'account_closed' | 'account_not_found' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    closeAccount: 'account_closed' | 'account_not_found' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    eraseAccount: 'account_closed' | 'account_not_found' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    verifyLedger: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listAccounts: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    getAccount: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listAccountEntries: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    listAccountJobs: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    listAccountTokens: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    listAccountGrants: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listAccountPurchases: 'account_closed' | 'account_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    revokeTokenOfAccount: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_not_found' | 'token_revoked';
    revokeGrantOfAccount: 'account_closed' | 'database_unavailable' | 'grant_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    setApp: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    listApps: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    listAllJobs: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    getAnyJob: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'job_not_found' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    refundJob: 'account_closed' | 'balance_out_of_range' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'job_not_ended' | 'job_not_found' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'reference_reused' | 'refund_exceeds_cost' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    endJob: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'job_already_ended' | 'job_not_found' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    createServiceKey: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    listServiceKeys: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    revokeServiceKey: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'service_key_not_found' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    getOverview: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listActions: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    listPacks: 'database_unavailable' | 'internal_error' | 'invalid_request' | 'local_identity' | 'overloaded' | 'rate_limited';
    listAllPacks: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    setPack: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'payments_unavailable' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    removePack: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'pack_not_found' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listAllPurchases: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    createPurchase: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_selling' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'pack_not_found' | 'payments_unavailable' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_purchases' | 'unsupported_media_type';
    listPurchases: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    getPurchase: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'purchase_not_found' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    setAutoTopup: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_selling' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'pack_not_found' | 'payments_unavailable' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    removeAutoTopup: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    resumeAutoTopup: 'account_closed' | 'auto_topup_off' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_selling' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'payments_unavailable' | 'rate_limited' | 'session_pending' | 'session_required' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    createWebhookEndpoint: 'account_closed' | 'app_not_found' | 'body_too_large' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    listWebhookEndpoints: 'account_closed' | 'app_not_found' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    getWebhookEndpoint: 'account_closed' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    updateWebhookEndpoint: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    deleteWebhookEndpoint: 'account_closed' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    rotateWebhookSecret: 'account_closed' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    sendTestWebhook: 'account_closed' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked';
    listWebhookDeliveries: 'account_closed' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    listDeadWebhookMessages: 'account_closed' | 'database_unavailable' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'too_many_at_once';
    replayWebhookMessages: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    dismissDeadWebhookMessages: 'account_closed' | 'body_too_large' | 'database_unavailable' | 'endpoint_not_found' | 'identity_provider_unavailable' | 'insufficient_scope' | 'internal_error' | 'invalid_json' | 'invalid_request' | 'invalid_token' | 'local_identity' | 'not_an_administrator' | 'not_signed_in' | 'origin_not_allowed' | 'overloaded' | 'rate_limited' | 'session_pending' | 'token_expired' | 'token_not_active_yet' | 'token_revoked' | 'unsupported_media_type';
    openSignInPage: never;
    authorize: never;
}
/** Operations of administrators. */
export type AdminOperationId = 'getTotalUsage' | 'adjustCredits' | 'revokeAccountTokens' | 'closeAccount' | 'eraseAccount' | 'verifyLedger' | 'listAccounts' | 'getAccount' | 'listAccountEntries' | 'listAccountJobs' | 'listAccountTokens' | 'listAccountGrants' | 'listAccountPurchases' | 'revokeTokenOfAccount' | 'revokeGrantOfAccount' | 'setApp' | 'listApps' | 'listAllJobs' | 'getAnyJob' | 'refundJob' | 'endJob' | 'createServiceKey' | 'listServiceKeys' | 'revokeServiceKey' | 'getOverview' | 'listActions' | 'listAllPacks' | 'setPack' | 'removePack' | 'listAllPurchases' | 'createWebhookEndpoint' | 'listWebhookEndpoints' | 'getWebhookEndpoint' | 'updateWebhookEndpoint' | 'deleteWebhookEndpoint' | 'rotateWebhookSecret' | 'sendTestWebhook' | 'listWebhookDeliveries' | 'listDeadWebhookMessages' | 'replayWebhookMessages' | 'dismissDeadWebhookMessages';
