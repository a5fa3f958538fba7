"""An access names its organization by the row, not by a copy of its name."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("credentials", "0004_organizations_out_of_accesses")]

    operations = [
        migrations.AlterField(
            model_name='organizationaccess',
            name='organization',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='accesses', to='credentials.organization', verbose_name='organization'),
        ),
        migrations.AlterModelOptions(
            name='organizationaccess',
            options={'ordering': ('organization__key',), 'verbose_name': 'organization access', 'verbose_name_plural': 'organization accesses'},
        ),
        migrations.RemoveField(
            model_name='organizationaccess',
            name='key',
        ),
        migrations.RemoveField(
            model_name='organizationaccess',
            name='name',
        ),
        migrations.AddConstraint(
            model_name='organizationaccess',
            constraint=models.UniqueConstraint(fields=('credential', 'organization'), name='organization_once_per_credential'),
        ),
    ]
