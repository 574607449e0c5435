/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`test/process/cli-admin.test.ts > TAP > --json answers keep their shapes > must match snapshot 1`] = `
Object {
  "admin account": Object {
    "account": Object {
      "clerk_id": "string",
      "credits": "number",
      "held": "number",
      "id": "string",
      "plan": "string",
    },
  },
  "admin apps set": Object {
    "app": Object {
      "created_at": "string",
      "has_settle_key": "boolean",
      "max_overage": null,
      "name": null,
      "origins": Array [
        "string",
      ],
      "redirect_uris": Array [],
      "resources": Array [],
      "return_paths": Array [],
      "slug": "string",
      "starter_credits": "number",
    },
  },
  "admin grant": Object {
    "account": Object {
      "clerk_id": "string",
      "credits": "number",
      "held": "number",
      "id": "string",
      "plan": "string",
    },
    "entry": Object {
      "amount": "number",
      "balance_after": "number",
      "corrects_job_id": null,
      "created_at": "string",
      "job_id": null,
      "kind": "string",
      "reason": "string",
      "reference": "string",
      "seq": "number",
    },
  },
  "admin verify": Object {
    "checks": Array [
      Object {
        "examples": Array [],
        "meaning": "string",
        "name": "string",
        "remedy": "string",
        "violations": "number",
      },
    ],
    "ok": "boolean",
  },
  "an error, on stderr": Object {
    "available": "number",
    "buy_url": "string",
    "error": "string",
    "hint": "string",
    "message": "string",
    "request_id": "string",
    "required": "number",
    "status": "number",
    "topup_url": "string",
  },
  "entries": Object {
    "entries": Array [
      Object {
        "amount": "number",
        "balance_after": "number",
        "corrects_job_id": null,
        "created_at": "string",
        "job_id": "string",
        "kind": "string",
        "reason": null,
        "reference": null,
        "seq": "number",
      },
    ],
    "next_cursor": null,
  },
  "jobs complete": Object {
    "credits": "number",
    "held": "number",
    "job": Object {
      "action": "string",
      "actual_cost": "number",
      "app_slug": "string",
      "created_at": "string",
      "expires_at": "string",
      "failure_reason": null,
      "id": "string",
      "metadata": Object {
        "a": "number",
      },
      "refunded": "number",
      "requested_cost": "number",
      "reserved": "number",
      "status": "string",
      "updated_at": "string",
    },
    "moved": Object {
      "amount": "number",
      "kind": "string",
    },
  },
  "jobs create --app video --action render": Object {
    "account_id": "string",
    "expires_at": "string",
    "job_id": "string",
    "replayed": "boolean",
    "status": "string",
  },
  "jobs heartbeat": Object {
    "job": Object {
      "action": "string",
      "actual_cost": "number",
      "app_slug": "string",
      "created_at": "string",
      "expires_at": "string",
      "failure_reason": null,
      "id": "string",
      "metadata": Object {
        "a": "number",
      },
      "refunded": "number",
      "requested_cost": "number",
      "reserved": "number",
      "status": "string",
      "updated_at": "string",
    },
  },
  "jobs list": Object {
    "jobs": Array [
      Object {
        "action": "string",
        "actual_cost": "number",
        "app_slug": "string",
        "created_at": "string",
        "expires_at": "string",
        "failure_reason": null,
        "id": "string",
        "metadata": Object {
          "a": "number",
        },
        "refunded": "number",
        "requested_cost": "number",
        "reserved": "number",
        "status": "string",
        "updated_at": "string",
      },
    ],
    "next_cursor": null,
  },
  "jobs show": Object {
    "job": Object {
      "action": "string",
      "actual_cost": "number",
      "app_slug": "string",
      "created_at": "string",
      "expires_at": "string",
      "failure_reason": null,
      "id": "string",
      "metadata": Object {
        "a": "number",
      },
      "refunded": "number",
      "requested_cost": "number",
      "reserved": "number",
      "status": "string",
      "updated_at": "string",
    },
  },
  "print-token": Object {
    "expires_at": null,
    "server": "string",
    "token": "string",
  },
  "tokens list": Object {
    "next_cursor": null,
    "tokens": Array [
      Object {
        "apps": null,
        "budget": null,
        "created_at": "string",
        "current": "boolean",
        "expires_at": "string",
        "id": "string",
        "last_four": "string",
        "last_used_at": "string",
        "last_used_from": "string",
        "left": null,
        "made_by": null,
        "name": "string",
        "period": null,
        "resets_at": null,
        "scopes": Array [
          "string",
        ],
        "spent": null,
      },
    ],
  },
  "wallet": Object {
    "account": Object {
      "clerk_id": "string",
      "credits": "number",
      "held": "number",
      "id": "string",
      "plan": "string",
    },
    "app_grant": Object {
      "granted": "boolean",
      "slug": "string",
      "starter_credits": "number",
    },
    "apps": Array [
      Object {
        "granted": "boolean",
        "granted_at": "string",
        "slug": "string",
        "starter_credits": "number",
      },
    ],
    "auto_topup": null,
    "buy_url": "string",
  },
  "whoami": Object {
    "account": Object {
      "clerk_id": "string",
      "credits": "number",
      "held": "number",
      "id": "string",
      "plan": "string",
    },
    "file": null,
    "name": null,
    "server": "string",
    "source": "string",
    "token": Object {
      "apps": null,
      "budget": null,
      "created_at": "string",
      "current": "boolean",
      "expires_at": "string",
      "id": "string",
      "last_four": "string",
      "last_used_at": "string",
      "last_used_from": "string",
      "left": null,
      "made_by": null,
      "name": "string",
      "period": null,
      "resets_at": null,
      "scopes": Array [
        "string",
      ],
      "spent": null,
    },
  },
}
`
