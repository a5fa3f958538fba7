"""Settings of the deployment; ``docs/configure.md`` explains every name read from the environment here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from project.env import env, key_source, secret_key
from project.logs import LOGGING as LOGGING  # noqa: PLC0414  # Django reads it here
from project.logs import configure_structlog

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

SECRET_KEY = secret_key(DATA_DIR)
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Off only where the product is reached over plain HTTP on purpose, as in the demo on loopback.
SECURE = env.bool("SECURE", default=not DEBUG)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "csp",
    "django_filters",
    "django_htmx",  # brings htmx's script
    "django_tasks",
    "django_tasks_db",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "credentials.apps.CredentialsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "project.logs.RequestMiddleware",
    # What follows is for browsers: a call with a service key never gets there.
    "credentials.api.middleware.ServiceKeyMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "credentials.web.middleware.ErrorPageMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "credentials.web.context.branding",
            ],
        },
    },
]

# --- Data ---------------------------------------------------------------------------------------------

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'forgekey.sqlite3'}")}
_database = DATABASES["default"]
_database.setdefault("OPTIONS", {})
# Kept open: a connection for every request costs more than what is done with it.
_database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=None)
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] |= {
        # A writer takes its lock at BEGIN, so that two of them wait instead of failing half-way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: an audit event that was committed survives a power cut.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
            "PRAGMA secure_delete=ON;"
        ),
    }
else:
    _database["OPTIONS"] = {
        "server_side_binding": True,
        "prepare_threshold": 2,
        # A server that is gone without a word is noticed after seconds, not after the system's hours. The
        # address may say otherwise: ?connect_timeout=5
        "connect_timeout": 2,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
        **_database["OPTIONS"],
    }

CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://forgekey")}
globals().update(env.email("EMAIL_URL", default="consolemail://"))
# Who is told once a day what ends soon; errors are logged, never mailed.
ADMINS = [("", address) for address in env.list("ADMINS", default=[])]
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="forgekey@localhost")

# What is imported: the archives of snapshots, and uploads until they are read. Nothing here has an address.
MEDIA_ROOT = DATA_DIR / "storage"
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# A file that comes in lies here while its request is answered, and without a name: not in /tmp, which may be memory.
FILE_UPLOAD_HANDLERS = ["credentials.uploads.UploadHandler"]
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "imports" / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
# What a form may have beside it. The second file is refused in words; the third ends the reading.
DATA_UPLOAD_MAX_NUMBER_FILES = 2
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": env.storage("STORAGE_URL", default=MEDIA_ROOT),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

_queue: dict[str, Any] = {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "imports"]}
TASKS = {"default": _queue}
_broker = env.task_queue("TASK_QUEUE_URL")
if _broker:
    _facts = {"secret_url": _broker, "prefix": env.str("TASK_QUEUE_PREFIX", default="forgekey")}
    TASKS = {
        "default": {**_queue, "BACKEND": "project.task_backends.CeleryBackend", "OPTIONS": _facts},
        # What the broker does not take is kept here, and carried out by the worker.
        "database": _queue,
    }

# --- People -------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "connections"
ACCOUNT_ADAPTER = "credentials.adapter.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "credentials.adapter.SocialAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_PREVENT_ENUMERATION = True
# Tokens never enter allauth's tables; a browser never starts a flow by GET.
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_LOGIN_ON_GET = False
MFA_ADAPTER = "credentials.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# People sign in by name, and an address proves nothing here: an unverified one must not bar a second factor.
MFA_ALLOW_UNVERIFIED_EMAIL = True
USERSESSIONS_TRACK_ACTIVITY = True
# Otherwise everybody behind a proxy would share one address, and one limit on failed sign-ins.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("CREDENTIALS_TRUSTED_PROXY_COUNT", default=0)

# --- Browser ------------------------------------------------------------------------------------------

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = False
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = False
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
)
# The OAuth callback's address carries a code: it goes to nobody else.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # the QR code of a second factor
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "credentials" / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# --- API ----------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["credentials.api.parsing.SmallJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "credentials.api.authentication.ServiceClientAuthentication",
        "credentials.api.authentication.BrowserSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["credentials.api.permissions.Denied"],
    "DEFAULT_PAGINATION_CLASS": "credentials.api.pagination.CreatedCursorPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "credentials.api.problems.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Forgekey",
    "DESCRIPTION": "Borrow a credential for one repository, and see why something cannot be imported.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Otherwise the description would follow the language of whoever asks for it.
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_NAME_OVERRIDES": {
        "ReasonEnum": "credentials.api.outputs.REASONS",
        "OutcomeEnum": "credentials.api.outputs.REPORTED",
        "OffboardingOutcomeEnum": "credentials.api.outputs.OFFBOARDING_OUTCOMES",
        "StateEnum": "credentials.models.organization.AccessState",
        "ImportStateEnum": "credentials.api.import_outputs.STATES",
        "SourceEnum": "credentials.api.import_outputs.SOURCES",
        "GitSourceEnum": "credentials.api.import_inputs.GIT_SOURCES",
        "ZipSourceEnum": "credentials.api.import_inputs.ZIP_SOURCES",
        "RemarkEnum": "credentials.api.import_outputs.REMARKS",
        "RefusalEnum": "credentials.api.import_outputs.REFUSALS",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "credentials.api.schema.complete",
    ],
}

configure_structlog()

# --- Forgekey (every name: credentials/conf.py) -------------------------------------------------------

CREDENTIALS_KEY_SOURCE = env.str("CREDENTIALS_KEY_SOURCE", default=key_source(DATA_DIR))
CREDENTIALS_DATA_DIR = DATA_DIR
for _name in (
    "LEASE_SECONDS",
    "PENDING_SECONDS",
    "EXPIRING_SECONDS",
    "CONNECT_TIMEOUT_SECONDS",
    "READ_TIMEOUT_SECONDS",
    "SEAL_SECONDS",
    "DIAGNOSES_PER_MINUTE",
    "TRUSTED_PROXY_COUNT",
    "IMPORT_FILES",
    "IMPORT_BYTES",
    "IMPORT_FILE_BYTES",
    "IMPORT_UPLOAD_BYTES",
    "IMPORT_SECONDS",
    "IMPORTS_PER_USER",
    "IMPORTS_QUEUED_PER_USER",
    "STORED_BYTES_PER_USER",
    "STORED_BYTES",
    "SNAPSHOTS_KEPT",
    "IMPORTS_KEPT_DAYS",
):
    _value = env.int(f"CREDENTIALS_{_name}", default=None)
    if _value is not None:
        globals()[f"CREDENTIALS_{_name}"] = _value
CREDENTIALS_SIGNUP_OPEN = env.bool("CREDENTIALS_SIGNUP_OPEN", default=False)
CREDENTIALS_PRODUCT_NAME = env.str("CREDENTIALS_PRODUCT_NAME", default="Forgekey")
