"""Organizations as rows of their own, what is remembered of repositories, breakers and notices."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('credentials', '0002_append_only_audit_trail'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='HostHealth',
            fields=[
                ('host', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='health', serialize=False, to='credentials.host', verbose_name='host')),
                ('failures', models.PositiveIntegerField(default=0, verbose_name='failures in a row')),
                ('failing_since', models.DateTimeField(null=True, verbose_name='failing since')),
                ('retry_at', models.DateTimeField(null=True, verbose_name='asked again')),
                ('last_failure', models.CharField(blank=True, max_length=300, verbose_name='last failure')),
            ],
            options={
                'verbose_name': 'host health',
                'verbose_name_plural': 'host health',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('code', models.CharField(max_length=50, verbose_name='code')),
                ('values', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('mailed_at', models.DateTimeField(null=True)),
                ('read_at', models.DateTimeField(null=True, verbose_name='read')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
                'ordering': ('-created_at',),
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Organization',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=200, verbose_name='organization')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('first_seen_at', models.DateTimeField(verbose_name='first seen')),
                ('last_named_at', models.DateTimeField(null=True, verbose_name='last asked for')),
            ],
            options={
                'verbose_name': 'organization',
                'verbose_name_plural': 'organizations',
                'ordering': ('key',),
            },
        ),
        migrations.CreateModel(
            name='RepositoryAccess',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=500, verbose_name='repository')),
                ('verdict', models.CharField(max_length=50, verbose_name='verdict')),
                ('checked_at', models.DateTimeField(verbose_name='checked')),
            ],
            options={
                'verbose_name': 'repository access',
                'verbose_name_plural': 'repository accesses',
                'ordering': ('key',),
                'default_permissions': ('view',),
            },
        ),
        migrations.RemoveConstraint(
            model_name='organizationaccess',
            name='organization_once_per_credential',
        ),
        migrations.AddField(
            model_name='credential',
            name='hold_reason',
            field=models.CharField(blank=True, choices=[('refused', 'refused'), ('quota', 'its quota is spent')], editable=False, max_length=10),
        ),
        migrations.AddField(
            model_name='credential',
            name='hold_until',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='credential',
            name='refusals',
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='credential',
            name='sealed_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='organizationaccess',
            name='checks',
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='organizationaccess',
            name='next_check_at',
            field=models.DateTimeField(db_index=True, null=True, verbose_name='next check'),
        ),
        migrations.AddField(
            model_name='organizationaccess',
            name='requested_at',
            field=models.DateTimeField(null=True, verbose_name='requested'),
        ),
        migrations.AddField(
            model_name='organizationaccess',
            name='since',
            field=models.DateTimeField(default=django.utils.timezone.now, verbose_name='since'),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['host', 'organization', '-seq'], name='audit_by_organization'),
        ),
        migrations.AddField(
            model_name='notice',
            name='credential',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to='credentials.credential'),
        ),
        migrations.AddField(
            model_name='notice',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to=settings.AUTH_USER_MODEL, verbose_name='person'),
        ),
        migrations.AddField(
            model_name='organization',
            name='host',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='organizations', to='credentials.host', verbose_name='host'),
        ),
        migrations.AddField(
            model_name='organizationaccess',
            name='organization',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accesses', to='credentials.organization', verbose_name='organization'),
        ),
        migrations.AddField(
            model_name='repositoryaccess',
            name='credential',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='repositories', to='credentials.credential', verbose_name='credential'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(fields=['user', 'read_at', '-created_at'], name='notice_by_user'),
        ),
        migrations.AddIndex(
            model_name='organization',
            index=models.Index(fields=['host', '-last_named_at'], name='organization_by_naming'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.UniqueConstraint(fields=('host', 'key'), name='organization_once_per_host'),
        ),
        migrations.AddConstraint(
            model_name='repositoryaccess',
            constraint=models.UniqueConstraint(fields=('credential', 'key'), name='repository_once_per_credential'),
        ),
    ]
